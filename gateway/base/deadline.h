// Deadlines of one worker: a wheel of intrusive lists, one slot per 64 ms. Arming again costs one store: an entry whose
// time has moved on is put back when its slot comes round. Nothing is allocated, nothing is sorted.
#pragma once
#include <array>
#include <cstdint>

#include "base/list.h"

namespace sallyport {

// Something that may happen at a time. Owned by whoever waits; leaves the wheel when it dies. Single-threaded.
class Deadline : public ListHook<Deadline> {
 public:
  // Called once per arming, when the time has come; may destroy the Deadline and its owner.
  class Owner {
   public:
    virtual void on_deadline(Deadline& which) = 0;

   protected:
    ~Owner() = default;
  };

  explicit Deadline(Owner& owner) noexcept : owner_(&owner) {}
  bool armed() const noexcept { return due_ != 0; }
  uint64_t due() const noexcept { return due_; }
  void disarm() noexcept { due_ = 0; }

 private:
  friend class DeadlineWheel;
  Owner* owner_;
  uint64_t due_ = 0;     // ms; 0: not armed (the entry may still be listed)
  uint64_t listed_ = 0;  // ms of the slot it stands in
};

class DeadlineWheel {
 public:
  // now, in ms of a clock that never goes back; must have started above 0.
  explicit DeadlineWheel(uint64_t now) noexcept : cursor_(now / kTick) {}

  // Due `after` ms from now; zero disarms ("never").
  void arm(Deadline& deadline, uint64_t now, uint64_t after) noexcept;
  // Calls the owners of all that is due.
  void advance(uint64_t now) noexcept;
  // ms from now until something may be due; -1: nothing is listed.
  int64_t next(uint64_t now) const noexcept;

 private:
  static constexpr uint64_t kTick = 64;
  static constexpr size_t kSlots = 1024;  // 65 s; what is further away is looked at once a turn of the wheel
  void list(Deadline& deadline, uint64_t from_tick) noexcept;

  std::array<List<Deadline, Deadline>, kSlots> slots_;
  std::array<uint64_t, kSlots / 64> occupied_{};
  uint64_t cursor_;  // the tick that was dealt with last
};

}  // namespace sallyport
