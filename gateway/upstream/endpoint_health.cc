#include "upstream/endpoint_health.h"

#include <algorithm>

#include "base/clock.h"

namespace sallyport {
namespace {

constexpr uint64_t kFirstOutMs = 10'000;
constexpr uint32_t kMostDoublings = 5;  // 320 s
constexpr uint64_t kQuietMs = 600'000;  // without trouble: the next time is a first one again

}  // namespace

EndpointHealth::Report EndpointHealth::report() const {
  std::lock_guard lock(mutex_);
  Report out;
  out.traffic = out_until_ms_ != 0;
  out.state = checked_ == State::down || out.traffic ? State::down : checked_;
  out.reason = reason_;
  out.since = since_;
  out.checked_us = checked_us_;
  return out;
}

// Under the lock: what the two say together.
void EndpointHealth::settle(uint64_t now_ms) {
  dead_.store(checked_ == State::down, std::memory_order_relaxed);
  const bool usable = checked_ != State::down && out_until_ms_ == 0;
  if (usable == usable_.load(std::memory_order_relaxed)) return;
  if (usable) recovered_ms_.store(std::max<uint64_t>(now_ms, 1), std::memory_order_relaxed);
  usable_.store(usable, std::memory_order_relaxed);
  turns_.fetch_add(1, std::memory_order_relaxed);
}

bool EndpointHealth::check_passed(const config::Health& rules, uint64_t now_ms, uint64_t took_us) {
  std::lock_guard lock(mutex_);
  checked_us_ = took_us;
  if (checked_ == State::up) {
    row_ = 0;
    if (out_until_ms_ == 0) reason_.clear();
    return false;
  }
  // The first check of all decides at once.
  if (checked_ == State::down && ++row_ < rules.rise) return false;
  const bool changed = checked_ == State::down;
  checked_ = State::up;
  row_ = 0;
  if (out_until_ms_ == 0) reason_.clear();
  since_ = unix_ms();
  settle(now_ms);
  return changed;
}

bool EndpointHealth::check_failed(const config::Health& rules, uint64_t now_ms, uint64_t took_us, std::string reason) {
  std::lock_guard lock(mutex_);
  checked_us_ = took_us;
  reason_ = std::move(reason);
  if (checked_ == State::down) {
    row_ = 0;
    return false;
  }
  if (checked_ == State::up && ++row_ < rules.fall) return false;
  checked_ = State::down;
  row_ = 0;
  since_ = unix_ms();
  settle(now_ms);
  return true;
}

void EndpointHealth::forget_checks(uint64_t now_ms) {
  std::lock_guard lock(mutex_);
  if (checked_ == State::unchecked) return;
  checked_ = State::unchecked;
  row_ = 0;
  since_ = unix_ms();
  settle(now_ms);
}

bool EndpointHealth::traffic_failed(const config::Health& rules, uint64_t now_ms, std::string_view reason) {
  if (rules.passive_failures == 0) return false;
  std::lock_guard lock(mutex_);
  if (out_until_ms_ != 0) return false;
  const auto window = static_cast<uint64_t>(rules.passive_window.count());
  uint32_t failures = failures_.load(std::memory_order_relaxed);
  if (failures == 0 || now_ms - first_failure_ms_ > window) {
    first_failure_ms_ = now_ms;
    failures = 0;
  }
  ++failures;
  failures_.store(failures, std::memory_order_relaxed);
  if (failures < rules.passive_failures) return false;
  failures_.store(0, std::memory_order_relaxed);
  if (out_since_ms_ != 0 && now_ms - out_since_ms_ > kQuietMs) outs_ = 0;
  out_since_ms_ = now_ms;
  out_until_ms_ = now_ms + (kFirstOutMs << std::min(outs_, kMostDoublings));
  ++outs_;
  reason_ = reason;
  since_ = unix_ms();
  settle(now_ms);
  return true;
}

bool EndpointHealth::release_traffic(uint64_t now_ms) {
  std::lock_guard lock(mutex_);
  if (out_until_ms_ == 0 || now_ms < out_until_ms_) return false;
  out_until_ms_ = 0;
  since_ = unix_ms();
  if (checked_ != State::down) reason_.clear();
  settle(now_ms);
  return true;
}

}  // namespace sallyport
