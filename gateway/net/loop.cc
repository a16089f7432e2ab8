#include "net/loop.h"

#include <algorithm>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace sallyport {
namespace {

// For how long those who gave way are run before new events are looked for, in microseconds: who has just come does not
// wait for all those who always have something to do.
constexpr uint64_t kSlice = 200;

}  // namespace

uint64_t Loop::precise_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1'000;
}

Loop::Loop() : turn_began_us_(precise_now()), now_(turn_began_us_ / 1000), wheel_(now_) {
  if (uv_loop_init(&uv_) != 0) throw std::runtime_error("uv_loop_init");
  wake_.data = this;
  uv_async_init(&uv_, &wake_, [](uv_async_t* handle) { static_cast<Loop*>(handle->data)->deliver(); });
  if (auto added = poller_.add_level(uv_backend_fd(&uv_), uv_watch_, false); !added)
    throw std::runtime_error(added.error().text());
}

Loop::~Loop() {
  {
    std::lock_guard lock(mailbox_mutex_);
    closing_ = true;
    mailbox_.clear();
  }
  graveyard_.clear();
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  // Handles closed by their owners finish closing here.
  while (uv_run(&uv_, UV_RUN_NOWAIT) != 0) {}
  uv_loop_close(&uv_);
}

void Loop::post(std::function<void()> message) {
  std::lock_guard lock(mailbox_mutex_);
  if (closing_) return;
  mailbox_.push_back(std::move(message));
  uv_async_send(&wake_);
}

void Loop::deliver() {
  std::vector<std::function<void()>> messages;
  {
    std::lock_guard lock(mailbox_mutex_);
    messages.swap(mailbox_);
  }
  for (auto& message : messages) message();
}

void Loop::run() {
  stopped_ = false;
  // Handles made since the last turn reach libuv's own epoll set only in uv_run.
  read_clock();
  uv_run(&uv_, UV_RUN_NOWAIT);
  while (!stopped_) turn();
}

void Loop::purge() {
  while (!graveyard_.empty()) {
    std::vector<std::unique_ptr<Doomed>> dead;
    dead.swap(graveyard_);
  }
}

void Loop::run_yielded() {
  List<Runnable> batch;
  yielded_.splice_to(batch);
  const uint64_t end = precise_now() + kSlice;
  while (Runnable* runnable = batch.pop_front()) {
    runnable->on_run();
    if (batch.empty() || precise_now() < end) continue;
    yielded_.splice_to(batch);  // behind those who wait longer
    batch.splice_to(yielded_);
  }
}

void Loop::run_queued() {
  List<Runnable> batch;
  run_queue_.splice_to(batch);
  if (now_ >= short_due_) short_queue_.splice_to(batch);
  while (Runnable* runnable = batch.pop_front()) runnable->on_run();
}

void Loop::read_clock() noexcept {
  turn_began_us_ = precise_now();
  now_ = turn_began_us_ / 1000;
}

void Loop::turn() {
  ++turns_;
  // libuv's clock is read in uv_run and uv() only. Its timeout is 0 for what is not due to a clock, too: a handle to
  // close.
  int timeout = uv_backend_timeout(&uv_);
  const uint64_t uv_due = timeout < 0 ? UINT64_MAX : uv_now(&uv_) + static_cast<uint64_t>(timeout);
  if (timeout > 0) timeout = uv_due > now_ ? static_cast<int>(uv_due - now_) : 0;
  int64_t deadline = wheel_.next(now_);
  if (deadline >= 0 && (timeout < 0 || deadline < timeout)) timeout = static_cast<int>(deadline);
  if (!short_queue_.empty() && (timeout < 0 || timeout > 1)) timeout = 1;
  if (!run_queue_.empty() || !yielded_.empty() || uv_touched_) timeout = 0;

  int events = poller_.wait(timeout, now_);
  // Before any handler: what is armed after a long sleep must not count from before it.
  read_clock();
  poller_.dispatch(events);

  // libuv has something to do when its backend was readable, when its time has come, and when a handle was made: only
  // uv_run adds that to libuv's own epoll set.
  const bool ready = std::exchange(uv_watch_.readable, false);
  if (ready || uv_touched_ || now_ >= uv_due) {
    uv_touched_ = false;
    uv_run(&uv_, UV_RUN_NOWAIT);
  }

  wheel_.advance(now_);
  if (!run_queue_.empty() || !short_queue_.empty()) run_queued();
  if (!yielded_.empty()) run_yielded();
  if (turn_end_) turn_end_();
  if (graveyard_.empty()) return;
  // Two vectors in turn, which keep their room: what dies may bury more.
  graveyard_.swap(dead_);
  dead_.clear();
}

}  // namespace sallyport
