// The log's thread: brings what writers queued to the sink, waits where the sink takes nothing, and tells what was lost.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log_sink.h"

namespace sallyport::log {

// Pieces one behind the other; neighbours of one kind are one.
struct LogQueue {
  struct Mark {
    size_t end;
    Level level;
    bool access;
    Shape shape;
  };
  std::string bytes;
  std::vector<Mark> marks;

  void add(const Piece& piece);
  void clear() noexcept;
};

// What writers and the thread share, under the mutex but for the atomics.
struct LogState {
  explicit LogState(std::shared_ptr<Sink> first) : sink(std::move(first)) {}
  std::mutex mutex;
  std::condition_variable wake;  // of the thread
  std::condition_variable done;  // the thread has ended
  LogQueue queue;
  std::shared_ptr<Sink> sink;  // used by the thread while it runs, else by who holds the mutex
  bool running = false;
  bool stopping = false;
  bool ended = false;
  bool reopen = false;
  bool changed = false;  // sink is another
  std::thread thread;
  std::atomic<uint64_t> dropped{0};
  std::atomic<uint64_t> progress{0};  // pieces that a sink took something of
};

// A line as write() makes it, with its end.
std::string lifecycle_line(Level level, std::string_view message, Shape shape);

class Courier {
 public:
  // told: of the lines dropped so far nobody needs to hear.
  Courier(LogState& state, uint64_t told) noexcept : s_(state), told_dropped_(told) {}
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  void deliver();
  void deliver_rest(const Piece& piece);
  // After the sink took less than there was. False: the rest is not to be tried again.
  bool pause();
  void take_changes(std::unique_lock<std::mutex>& lock);
  void tell_dropped();
  void note_failure();
  void note_success();
  void say(Level level, std::string_view message) const;

  LogState& s_;
  LogQueue batch_;
  std::shared_ptr<Sink> sink_;
  uint64_t told_dropped_;
  Clock::time_point next_told_dropped_{};
  Clock::time_point stalled_since_{};
  Clock::time_point last_failure_{};
  Clock::time_point give_up_at_ = Clock::time_point::max();
  bool stalled_ = false;
  bool told_failure_ = false;
};

}  // namespace sallyport::log
