// One thread's event loop: an edge-triggered epoll set for sockets, with libuv riding inside it for everything else
// (timers, signals, messages from other threads, DNS). Also what must happen once a turn: deadlines, the run queue, the
// graveyard.
#pragma once
#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/block_cache.h"
#include "base/deadline.h"
#include "base/list.h"
#include "net/poller.h"

namespace sallyport {

// Freed at the end of the turn, when no event of this batch can name it any more.
class Doomed : public Recycled {
 public:
  virtual ~Doomed() = default;
};

// Has something to do that does not come from an event. on_run may destroy it.
class Runnable : public ListHook<Runnable> {
 public:
  virtual void on_run() = 0;
  // Has used up its budget, and others have their turn first: what happens until on_run can wait for that.
  bool gives_way() const noexcept { return gives_way_ && linked(); }
  void set_gives_way(bool on) noexcept { gives_way_ = on; }  // the Loop's business

 protected:
  ~Runnable() = default;

 private:
  bool gives_way_ = false;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(); call from the thread that owns it.
  void run();
  void stop() noexcept { stopped_ = true; }

  // Any thread: the function runs on this loop's thread, in order of posting. What was posted after the loop ended is
  // dropped.
  void post(std::function<void()> message);
  // This thread: freed when the turn ends.
  void bury(std::unique_ptr<Doomed> doomed) { graveyard_.push_back(std::move(doomed)); }
  // Behind the events of this turn, or of the next where this one has come so far; once, however often it is asked for. Who
  // gives way goes on doing so.
  void run_soon(Runnable& runnable) noexcept {
    if (runnable.linked()) return;
    runnable.set_gives_way(false);
    run_queue_.push_back(runnable);
  }
  // Behind all who gave way before, and behind new events where those take long; once, however often it is asked for.
  void give_way(Runnable& runnable) noexcept {
    if (runnable.gives_way()) return;
    runnable.set_gives_way(true);
    yielded_.push_back(runnable);
  }
  // In about a millisecond, once: for what is better done when more has come together.
  void run_shortly(Runnable& runnable) noexcept {
    if (runnable.linked()) return;
    runnable.set_gives_way(false);
    if (short_queue_.empty()) short_due_ = now_ + 1;
    short_queue_.push_back(runnable);
  }
  // Frees what was buried so far, and what that buries. Outside run() only.
  void purge();
  // Called once at the end of each turn (the access log hands its lines over here).
  void at_turn_end(std::function<void()> hook) { turn_end_ = std::move(hook); }

  Poller& poller() noexcept { return poller_; }
  // For making a handle or a request: libuv looks at it at the end of this turn, and its clock is right. Timers are
  // started behind a call of this, or in libuv's own callbacks.
  uv_loop_t* uv() noexcept {
    if (!std::exchange(uv_touched_, true)) uv_update_time(&uv_);
    return &uv_;
  }
  // Milliseconds of CLOCK_MONOTONIC as of the beginning of this turn, behind its wait.
  uint64_t now() const noexcept { return now_; }
  // The same in microseconds: when the events of this turn had come. What is found in its course may be younger.
  uint64_t turn_began_us() const noexcept { return turn_began_us_; }
  // How many turns began so far.
  uint64_t turns() const noexcept { return turns_; }
  // The same clock in microseconds, read now: for what is over now, this turn's own work included.
  static uint64_t precise_now() noexcept;
  void arm(Deadline& deadline, std::chrono::milliseconds after) noexcept {
    wheel_.arm(deadline, now_, static_cast<uint64_t>(after.count()));
  }

 private:
  void turn();
  void run_queued();
  void run_yielded();
  void deliver();
  void read_clock() noexcept;

  Poller poller_;
  uv_loop_t uv_;
  Watch uv_watch_;
  uv_async_t wake_;
  std::mutex mailbox_mutex_;
  std::vector<std::function<void()>> mailbox_;
  uint64_t turn_began_us_;
  uint64_t now_;
  uint64_t turns_ = 0;
  DeadlineWheel wheel_;
  List<Runnable> run_queue_;
  List<Runnable> yielded_;
  List<Runnable> short_queue_;
  uint64_t short_due_ = 0;
  std::vector<std::unique_ptr<Doomed>> graveyard_, dead_;
  std::function<void()> turn_end_;
  bool uv_touched_ = false;
  bool stopped_ = false;
  bool closing_ = false;
};

}  // namespace sallyport
