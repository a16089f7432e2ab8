#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/log_courier.h"
#include "base/log_stream.h"
#include "base/text.h"

namespace sallyport::log {
namespace {

constexpr size_t kMostBuffered = 4 * 1024 * 1024;
constexpr size_t kReserved = 256 * 1024;  // beyond that, for lines of the gateway itself
constexpr std::chrono::seconds kStopPatience{5};

std::atomic<Level> g_level{Level::info};
std::atomic<Format> g_format{Format::text};
std::atomic<Shape> g_shape{Shape::plain};

// Never destroyed: a thread that a dead target holds may outlive main().
LogState& state() {
  static auto& instance = *new LogState(std::make_shared<StreamSink>(2));
  return instance;
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

namespace {

void push(const Piece& piece) {
  LogState& s = state();
  {
    std::unique_lock lock(s.mutex);
    if (!s.running) {
      size_t done = s.sink->write(piece);
      s.dropped += count_events(piece.lines.substr(done), piece.shape) + s.sink->take_lost();
      return;
    }
    size_t most = piece.access ? kMostBuffered : kMostBuffered + kReserved;
    if (s.queue.bytes.size() + piece.lines.size() > most) {
      s.dropped += count_events(piece.lines, piece.shape);
      return;
    }
    bool was_empty = s.queue.bytes.empty();
    s.queue.add(piece);
    if (!was_empty) return;  // the thread has been woken already
  }
  s.wake.notify_one();
}

}  // namespace

void start(Format format, Level level, std::unique_ptr<Sink> sink) {
  LogState& s = state();
  std::unique_lock lock(s.mutex);
  g_format.store(format, std::memory_order_relaxed);
  g_level.store(level, std::memory_order_relaxed);
  g_shape.store(sink->shape(), std::memory_order_relaxed);
  s.sink = std::move(sink);
  if (s.running) {
    s.changed = true;
    lock.unlock();
    return s.wake.notify_one();
  }
  s.running = true;
  s.stopping = s.ended = s.changed = s.reopen = false;
  s.thread = std::thread([told = s.dropped.load()] { Courier(state(), told).run(); });
}

void start(Format format, Level level, int fd) { start(format, level, std::make_unique<StreamSink>(fd)); }

void stop() {
  LogState& s = state();
  std::unique_lock lock(s.mutex);
  if (!s.running) return;
  s.stopping = true;
  s.wake.notify_one();
  // A target that takes something, however slowly, is waited for; one that holds the thread is not.
  uint64_t seen;
  do {
    seen = s.progress.load();
    s.done.wait_for(lock, kStopPatience, [&] { return s.ended; });
  } while (!s.ended && seen != s.progress.load());
  if (!s.ended) {
    s.thread.detach();
    return;
  }
  lock.unlock();
  s.thread.join();
  lock.lock();
  s.running = false;
}

void reopen() {
  LogState& s = state();
  {
    std::lock_guard lock(s.mutex);
    s.reopen = true;
  }
  s.wake.notify_one();
}

void set_level(Level level) noexcept { g_level.store(level, std::memory_order_relaxed); }
Level level() noexcept { return g_level.load(std::memory_order_relaxed); }
void set_format(Format format) noexcept { g_format.store(format, std::memory_order_relaxed); }
Format format_in_use() noexcept { return g_format.load(std::memory_order_relaxed); }
bool enabled(Level level) noexcept { return level <= g_level.load(std::memory_order_relaxed); }
uint64_t dropped() noexcept { return state().dropped.load(std::memory_order_relaxed); }

void write_raw(std::string_view lines, Shape shape) { push({lines, Level::info, true, shape}); }

std::string lifecycle_line(Level level, std::string_view message, Shape shape) {
  std::string line;
  if (shape == Shape::fields) {
    line = "MESSAGE=";
  } else if (shape == Shape::stamped) {
    line.append(timestamp()) += ' ';
  }
  if (g_format.load(std::memory_order_relaxed) == Format::json) {
    line += format("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":", timestamp(), name_of(level));
    append_json(line, message);
    line += '}';
  } else {
    if (shape == Shape::plain) line += format("{} {:<5} ", timestamp(), name_of(level));
    const size_t begin = line.size();
    line += message;
    // A line is a line, whatever a library's words look like.
    std::replace_if(line.begin() + static_cast<ptrdiff_t>(begin), line.end(), [](char c) { return c == '\n' || c == '\r'; },
                    ' ');
  }
  line += shape == Shape::fields ? "\n\n" : "\n";
  return line;
}

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  const Shape shape = g_shape.load(std::memory_order_relaxed);
  push({lifecycle_line(level, message, shape), level, false, shape});
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
