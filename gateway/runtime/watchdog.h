// Asks each worker whether it still turns, and tells the service manager that all is well only while all of them answer
// (WATCHDOG=1). How long an answer takes is how far a worker is behind. On the control thread, which owns it; it may
// die once the workers' threads have ended.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"

namespace sallyport {

class Watchdog final : private Deadline::Owner {
 public:
  struct Watched {
    std::string name;
    Loop* loop = nullptr;
    uint64_t last_us = 0;   // its latest answer came after so long
    uint64_t worst_us = 0;  // since the start
    uint64_t times_stuck = 0;
    bool stuck = false;  // has not answered for 5 s, or a quarter of the period
    uint64_t answered_round = 0;
  };

  // alive: called each time all have answered, if it is waited for.
  Watchdog(Loop& loop, std::function<void()> alive);
  // Before start(). The loop must outlive this.
  void watch(std::string name, Loop& worker);
  // period: how often `alive` is waited for; none: answers are timed only.
  void start(std::optional<std::chrono::microseconds> period);

  const std::vector<Watched>& watched() const noexcept { return watched_; }
  // One that has not answered for so long; null: all do.
  const Watched* stuck() const noexcept;
  // How far this worker is behind: its latest answer, or the time it has been asked for in vain.
  uint64_t lag_us(size_t worker) const noexcept;

 private:
  void on_deadline(Deadline&) override;
  void ask();
  void answered(size_t worker, uint64_t when_us);
  void tell_of_the_silent();

  Loop& loop_;
  std::function<void()> alive_;
  bool waited_for_ = false;
  std::vector<Watched> watched_;
  std::chrono::milliseconds every_{0};  // between two questions
  std::chrono::milliseconds look_{0};   // between two looks at who is silent
  uint64_t round_ = 0;
  uint64_t asked_us_ = 0;
  size_t silent_ = 0;  // who has not answered in this round
  Deadline tick_;
};

}  // namespace sallyport
