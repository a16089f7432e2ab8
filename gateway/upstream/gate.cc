#include "upstream/gate.h"

#include <algorithm>
#include <utility>

namespace sallyport {

Gate::Seat Gate::try_take() noexcept {
  if (taken_ >= allowed_ || !waiters_.empty()) return {};
  ++taken_;
  return Seat(*this);
}

void Gate::wait(Waiter& waiter) noexcept {
  waiter.waiting_since_ms = loop_->now();
  if (waiters_.empty()) {
    moved_ = false;
    loop_->arm(deadline_, kTick);
  }
  waiters_.push_back(waiter);
}

void Gate::give_back() noexcept {
  moved_ = true;
  if (Waiter* waiter = waiters_.pop_front()) {
    waiter->on_seat(Seat(*this));
    return;
  }
  --taken_;
  // The limit goes back as the crowd thins out.
  if (taken_ < allowed_ / 2) allowed_ = std::max(soft_, allowed_ / 2);
}

void Gate::on_deadline(Deadline&) {
  Waiter* first = waiters_.front();
  if (first == nullptr) return;
  bool stalled = !std::exchange(moved_, false) || loop_->now() - first->waiting_since_ms >= kLongestMs;
  if (stalled) {
    for (size_t more = std::max<size_t>(1, allowed_ / 8); more > 0; --more) {
      Waiter* waiter = waiters_.pop_front();
      if (waiter == nullptr) break;
      ++allowed_;
      ++taken_;
      waiter->on_seat(Seat(*this));
    }
  }
  if (!waiters_.empty()) loop_->arm(deadline_, kTick);
}

}  // namespace sallyport
