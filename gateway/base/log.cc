#include "base/log.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/text.h"

namespace sallyport::log {
namespace {

constexpr size_t kMostBuffered = 4 * 1024 * 1024;

struct Writer {
  std::mutex mutex;
  std::condition_variable wake;
  std::string buffer;
  bool running = false;
  bool stopping = false;
  int fd = 2;
  Format format = Format::text;
  std::thread thread;
};

Writer& writer() {
  static Writer instance;
  return instance;
}

std::atomic<Level> g_level{Level::info};
std::atomic<uint64_t> g_dropped{0};

void write_fully(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count > 0) {
      text.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      // A target that another process made non-blocking: wait for room, on this thread only.
      pollfd room{fd, POLLOUT, 0};
      ::poll(&room, 1, 1000);
      continue;
    }
    g_dropped.fetch_add(1, std::memory_order_relaxed);  // the target is gone or full
    return;
  }
}

void run() {
  // Signals are the main thread's: one delivered here would be handled as if nobody waited for it.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  Writer& w = writer();
  std::string batch;
  std::unique_lock lock(w.mutex);
  for (;;) {
    w.wake.wait(lock, [&] { return !w.buffer.empty() || w.stopping; });
    if (w.buffer.empty()) return;
    batch.clear();
    batch.swap(w.buffer);
    int fd = w.fd;
    lock.unlock();
    write_fully(fd, batch);
    lock.lock();
  }
}

}  // namespace

const char* name_of(Level level) noexcept {
  switch (level) {
    case Level::error: return "error";
    case Level::warn: return "warn";
    case Level::info: return "info";
    case Level::debug: return "debug";
  }
  return "";
}

void start(Format format, Level level, int fd) {
  Writer& w = writer();
  std::lock_guard lock(w.mutex);
  w.format = format;
  w.fd = fd;
  g_level.store(level, std::memory_order_relaxed);
  if (w.running) return;
  w.running = true;
  w.stopping = false;
  w.thread = std::thread(run);
}

void stop() {
  Writer& w = writer();
  {
    std::lock_guard lock(w.mutex);
    if (!w.running) return;
    w.stopping = true;
  }
  w.wake.notify_one();
  w.thread.join();
  std::lock_guard lock(w.mutex);
  w.running = false;
}

void set_level(Level level) noexcept { g_level.store(level, std::memory_order_relaxed); }
Level level() noexcept { return g_level.load(std::memory_order_relaxed); }
Format format_in_use() noexcept { return writer().format; }
bool enabled(Level level) noexcept { return level <= g_level.load(std::memory_order_relaxed); }
uint64_t dropped() noexcept { return g_dropped.load(std::memory_order_relaxed); }

void write_raw(std::string_view lines) {
  Writer& w = writer();
  {
    std::unique_lock lock(w.mutex);
    if (!w.running) {
      write_fully(w.fd, lines);
      return;
    }
    if (w.buffer.size() + lines.size() > kMostBuffered) {
      g_dropped.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    bool was_empty = w.buffer.empty();
    w.buffer += lines;
    if (!was_empty) return;  // the thread has been woken already
  }
  w.wake.notify_one();
}

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  std::string line;
  if (writer().format == Format::json) {
    line = fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":", timestamp(), name_of(level));
    append_json(line, message);
    line += "}\n";
  } else {
    line = fmt::format("{} {:<5} {}\n", timestamp(), name_of(level), message);
  }
  write_raw(line);
}

std::string_view timestamp() {
  thread_local int64_t cached = -1;
  thread_local char text[32];
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t milliseconds = static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
  if (milliseconds != cached) {
    tm parts{};
    if (cached / 1000 != milliseconds / 1000 || cached < 0) {
      gmtime_r(&now.tv_sec, &parts);
      strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
    }
    auto fraction = static_cast<int>(milliseconds % 1000);
    text[20] = static_cast<char>('0' + fraction / 100);
    text[21] = static_cast<char>('0' + fraction / 10 % 10);
    text[22] = static_cast<char>('0' + fraction % 10);
    cached = milliseconds;
  }
  return {text, 24};
}

}  // namespace sallyport::log
