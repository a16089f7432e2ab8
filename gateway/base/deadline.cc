#include "base/deadline.h"

#include <algorithm>
#include <bit>

namespace sallyport {

void DeadlineWheel::list(Deadline& deadline, uint64_t from_tick) noexcept {
  uint64_t tick = (deadline.due_ + kTick - 1) / kTick;
  tick = std::clamp(tick, from_tick + 1, from_tick + kSlots - 1);
  deadline.listed_ = tick * kTick;
  size_t slot = tick % kSlots;
  slots_[slot].push_back(deadline);
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
}

void DeadlineWheel::arm(Deadline& deadline, uint64_t now, uint64_t after) noexcept {
  if (after == 0) {
    deadline.disarm();
    return;
  }
  deadline.due_ = now + after;
  // Listed at an earlier time: it will be put back from there.
  if (deadline.linked() && deadline.listed_ <= deadline.due_) return;
  list(deadline, std::max(cursor_, now / kTick));
}

void DeadlineWheel::advance(uint64_t now) noexcept {
  uint64_t target = now / kTick;
  if (target > cursor_ + kSlots) cursor_ = target - kSlots;  // a long sleep: each slot once is enough
  while (cursor_ < target) {
    ++cursor_;
    size_t slot = cursor_ % kSlots;
    uint64_t bit = uint64_t{1} << (slot % 64);
    if ((occupied_[slot / 64] & bit) == 0) continue;
    List<Deadline, Deadline> due;
    slots_[slot].splice_to(due);
    occupied_[slot / 64] &= ~bit;
    while (Deadline* deadline = due.pop_front()) {
      if (deadline->due_ == 0) continue;
      if (deadline->due_ > now) {
        list(*deadline, cursor_);
        continue;
      }
      deadline->due_ = 0;
      deadline->owner_->on_deadline(*deadline);
    }
  }
}

int64_t DeadlineWheel::next(uint64_t now) const noexcept {
  uint64_t first = cursor_ + 1;
  for (uint64_t offset = 0; offset < kSlots;) {
    uint64_t slot = (first + offset) % kSlots;
    uint64_t word = occupied_[slot / 64] >> (slot % 64);
    if (word == 0) {
      offset += 64 - slot % 64;
      continue;
    }
    offset += static_cast<uint64_t>(std::countr_zero(word));
    uint64_t due = (first + offset) * kTick;
    return due <= now ? 0 : static_cast<int64_t>(due - now);
  }
  return -1;
}

}  // namespace sallyport
