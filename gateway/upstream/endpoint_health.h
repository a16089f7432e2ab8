// What is known of a server's fitness: by checks (control thread), and by traffic where `health.passive` is set
// (workers). Balancers read it with every pick. Shared by all threads; survives a reload with its endpoint.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "config/model.h"

namespace sallyport {

class EndpointHealth {
 public:
  enum class State : uint8_t {
    unchecked,  // nobody checks, or nobody has yet: used like one that is up
    up,
    down,
  };
  struct Report {
    State state = State::unchecked;
    std::string reason;       // of the last check that failed, or of what traffic met; empty if the last one was good
    int64_t since = 0;        // Unix time in ms of the last change; 0: none yet
    uint64_t checked_us = 0;  // how long the last check took
    bool traffic = false;     // down by what traffic met
  };

  // May be given new clients.
  bool usable() const noexcept { return usable_.load(std::memory_order_relaxed); }
  // Down by a check: not to be tried even where there is no other, as one that only traffic found fault with is.
  bool dead() const noexcept { return dead_.load(std::memory_order_relaxed); }
  // Milliseconds of the loops' clock when it last came back from being down; 0: never was. For slow_start.
  uint64_t recovered_ms() const noexcept { return recovered_ms_.load(std::memory_order_relaxed); }
  Report report() const;

  // How often servers went down or came back, all of them: who watches looks closer when it has grown.
  static uint64_t turns() noexcept { return turns_.load(std::memory_order_relaxed); }

  // --- By checks. True if the state has changed, once for each change; the caller logs it.
  bool check_passed(const config::Health& rules, uint64_t now_ms, uint64_t took_us);
  bool check_failed(const config::Health& rules, uint64_t now_ms, uint64_t took_us, std::string reason);
  // Checks have ended (a reload took them away).
  void forget_checks(uint64_t now_ms);

  // --- By traffic. A connect that failed, a 5xx, an answer that broke off; and what went well.
  // True if that took it out. It comes back by itself, after a while that grows each time.
  bool traffic_failed(const config::Health& rules, uint64_t now_ms, std::string_view reason);
  void traffic_passed() noexcept {
    if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
  }
  // Ends a while that is over; true if it did. Called from time to time by the control thread.
  bool release_traffic(uint64_t now_ms);

 private:
  void settle(uint64_t now_ms);

  static inline std::atomic<uint64_t> turns_{0};
  std::atomic<bool> usable_{true};
  std::atomic<bool> dead_{false};
  std::atomic<uint64_t> recovered_ms_{0};
  std::atomic<uint32_t> failures_{0};  // of traffic, in a row
  mutable std::mutex mutex_;
  State checked_ = State::unchecked;
  uint32_t row_ = 0;  // checks in a row that speak for the other state
  uint64_t first_failure_ms_ = 0;
  uint64_t out_until_ms_ = 0;  // by traffic; 0: it is not out
  uint64_t out_since_ms_ = 0;
  uint32_t outs_ = 0;  // how often in a row: each doubles the while
  std::string reason_;
  int64_t since_ = 0;
  uint64_t checked_us_ = 0;
};

}  // namespace sallyport
