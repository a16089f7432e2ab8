// Bytes are counted while they move, not only at the end of a download that takes hours: whoever has moved some stands
// in this list, and counts at the next look, a second later at most. One a worker; costs nothing where nothing moves.
#pragma once
#include <chrono>

#include "base/deadline.h"
#include "base/list.h"
#include "net/loop.h"

namespace sallyport {

class Tally final : private Deadline::Owner {
 public:
  // Leaves the list when it dies.
  class Mover : public ListHook<Mover> {
   public:
    // Adds what has moved since the last time to the counters; does nothing else.
    virtual void count_moved() = 0;

   protected:
    ~Mover() = default;
  };

  explicit Tally(Loop& loop) noexcept : loop_(loop), deadline_(*this) {}

  void moved(Mover& mover) noexcept {
    if (mover.linked()) return;
    if (movers_.empty()) loop_.arm(deadline_, kEvery);
    movers_.push_back(mover);
  }

 private:
  static constexpr std::chrono::milliseconds kEvery{1'000};
  void on_deadline(Deadline&) override {
    while (Mover* mover = movers_.pop_front()) mover->count_moved();
  }

  Loop& loop_;
  Deadline deadline_;
  List<Mover> movers_;
};

}  // namespace sallyport
