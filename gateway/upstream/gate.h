// How many HTTP/1.1 connections one worker uses towards one server at a time. Over a soft limit a request waits for a
// connection to come free rather than open another: thousands of HTTP/2 streams that arrive at once would drown a
// server that serves them well one after the other. Where nothing comes free (long polls, WebSockets, slow answers) the
// limit gives way, so that nobody waits for long.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/list.h"
#include "net/loop.h"

namespace sallyport {

class Gate final : private Deadline::Owner {
 public:
  // The right to one connection. Returned when it dies; the Gate must outlive it.
  class Seat {
   public:
    Seat() noexcept = default;
    explicit Seat(Gate& gate) noexcept : gate_(&gate) {}
    Seat(Seat&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Seat& operator=(Seat&& other) noexcept {
      if (this != &other) {
        release();
        gate_ = std::exchange(other.gate_, nullptr);
      }
      return *this;
    }
    ~Seat() { release(); }
    explicit operator bool() const noexcept { return gate_ != nullptr; }
    void release() noexcept {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->give_back();
    }

   private:
    Gate* gate_ = nullptr;
  };

  class Waiter : public ListHook<Waiter> {
   public:
    // To be noted only: it is dealt with in the next turn.
    virtual void on_seat(Seat seat) = 0;
    uint64_t waiting_since_ms = 0;  // the Gate's to set

   protected:
    ~Waiter() = default;
  };

  // soft: the limit as long as connections come free.
  Gate(Loop& loop, size_t soft) noexcept : loop_(&loop), deadline_(*this), soft_(soft), allowed_(soft) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // An empty seat: there is none now. Those who wait go first.
  Seat try_take() noexcept;
  void wait(Waiter& waiter) noexcept;

  size_t taken() const noexcept { return taken_; }
  size_t allowed() const noexcept { return allowed_; }

 private:
  static constexpr std::chrono::milliseconds kTick{64};
  static constexpr uint64_t kLongestMs = 5'000;

  void give_back() noexcept;
  void on_deadline(Deadline& which) override;

  Loop* loop_;
  Deadline deadline_;
  List<Waiter> waiters_;
  size_t soft_;
  size_t allowed_;
  size_t taken_ = 0;
  bool moved_ = false;  // a seat has come free since the last tick
};

}  // namespace sallyport
