#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace sallyport {
namespace {

volatile std::sig_atomic_t g_stopped = 0;

// The other screen, and keys as they are pressed; everything is put back at the end.
class Screen {
 public:
  Screen() {
    keys_ = isatty(0) != 0 && tcgetattr(0, &before_) == 0;
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
      tcsetattr(0, TCSANOW, &raw);
    }
    put("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    put("\x1b[?25h\x1b[?1049l");
    if (keys_) tcsetattr(0, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool reads_keys() const noexcept { return keys_; }
  void show(const std::string& text) const {
    // What was there before is overwritten, and each line's rest is cleared: clearing all first would flicker.
    std::string out = "\x1b[H";
    size_t lines = 0;
    const size_t most = terminal_size().rows;
    for (size_t at = 0; at < text.size() && lines + 1 < most; ++lines) {
      const size_t end = std::min(text.find('\n', at), text.size());
      out.append(text, at, end - at).append("\x1b[K\n");
      at = end + 1;
    }
    put(out + "\x1b[J");
  }

 private:
  static void put(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  termios before_{};
  bool keys_ = false;
};

// False: it is to end.
bool wait_for_key(double seconds, bool keys) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (g_stopped == 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return true;
    pollfd input{0, POLLIN, 0};
    const int ready = ::poll(&input, keys ? 1 : 0, static_cast<int>(std::min<int64_t>(left, 1'000'000)));
    if (ready <= 0) continue;
    char key = 0;
    if (read(0, &key, 1) <= 0) {
      keys = false;
      continue;
    }
    if (key == 'q' || key == 'Q') return false;
    if (key == ' ' || key == '\n') return true;  // at once
  }
  return false;
}

void on_stop(int) { g_stopped = 1; }

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop;  // without SA_RESTART: what waits returns
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

}  // namespace

bool wants_colour() {
  const char* no = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(1) != 0 && (no == nullptr || *no == 0) && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

TerminalSize terminal_size() {
  TerminalSize size;
  winsize window{};
  if (ioctl(1, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return size;
  size.columns = window.ws_col;
  size.rows = std::max<size_t>(window.ws_row, 2);
  return size;
}

int live_view(double every_seconds, unsigned times, const std::function<Result<std::string>(bool)>& draw) {
  const bool terminal = isatty(1) != 0;
  watch_signals();
  std::optional<Screen> screen;
  for (unsigned shown = 1;; ++shown) {
    Result<std::string> picture = draw(terminal);
    if (!picture && !screen) {
      std::fprintf(stderr, "sallyport: %s\n", picture.error().detail.c_str());
      return 1;
    }
    const std::string text = picture ? *picture : picture.error().detail + "\n";
    if (terminal) {
      if (!screen) screen.emplace();
      screen->show(text);
    } else {
      std::fwrite(text.data(), 1, text.size(), stdout);
      if (std::fflush(stdout) != 0) return 1;  // nobody reads any more
    }
    if (times != 0 && shown >= times) return 0;
    if (!wait_for_key(every_seconds, screen && screen->reads_keys())) return 0;
  }
}

}  // namespace sallyport
