#include "runtime/watchdog.h"

#include <algorithm>

#include "base/log.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kInterval{5'000};

}  // namespace

Watchdog::Watchdog(Loop& loop, std::function<void()> alive) : loop_(loop), alive_(std::move(alive)), tick_(*this) {}

void Watchdog::watch(std::string name, Loop& worker) {
  Watched one;
  one.name = std::move(name);
  one.loop = &worker;
  watched_.push_back(std::move(one));
}

void Watchdog::start(std::optional<std::chrono::microseconds> period) {
  using std::chrono::milliseconds;
  waited_for_ = period.has_value();
  every_ = look_ = kInterval;
  if (period) {
    const auto whole = std::chrono::duration_cast<milliseconds>(*period);
    // Half of it, as sd_watchdog_enabled(3) advises; and who is silent has to be named before the manager acts.
    every_ = std::clamp(whole / 2, milliseconds(1), kInterval);
    look_ = std::clamp(whole / 4, milliseconds(1), kInterval);
  }
  ask();
  loop_.arm(tick_, look_);
}

void Watchdog::on_deadline(Deadline&) {
  const auto since = std::chrono::microseconds(Loop::precise_now() - asked_us_);
  // Nobody is asked again before all have answered: a mailbox that is not read must not grow.
  if (silent_ > 0) {
    tell_of_the_silent();
  } else if (since + look_ / 2 >= every_) {
    ask();
  }
  loop_.arm(tick_, look_);
}

void Watchdog::ask() {
  ++round_;
  silent_ = watched_.size();
  asked_us_ = Loop::precise_now();
  for (size_t i = 0; i < watched_.size(); ++i)
    watched_[i].loop->post([this, i] {
      loop_.post([this, i, when = Loop::precise_now()] { answered(i, when); });
    });
}

void Watchdog::answered(size_t worker, uint64_t when_us) {
  Watched& one = watched_[worker];
  one.answered_round = round_;
  one.last_us = when_us - asked_us_;
  one.worst_us = std::max(one.worst_us, one.last_us);
  if (one.stuck) log::warn("{} answers again, after {} ms", one.name, one.last_us / 1000);
  one.stuck = false;
  if (--silent_ == 0 && waited_for_) alive_();
}

void Watchdog::tell_of_the_silent() {
  for (Watched& one : watched_) {
    if (one.answered_round == round_ || one.stuck) continue;
    one.stuck = true;
    ++one.times_stuck;
    log::error("{} has not answered for {} ms: its connections stand still, and a service manager that waits for a sign "
               "of life (WatchdogSec=) gets none",
               one.name, (Loop::precise_now() - asked_us_) / 1000);
  }
}

const Watchdog::Watched* Watchdog::stuck() const noexcept {
  const auto found = std::find_if(watched_.begin(), watched_.end(), [](const Watched& one) { return one.stuck; });
  return found == watched_.end() ? nullptr : &*found;
}

uint64_t Watchdog::lag_us(size_t worker) const noexcept {
  const Watched& one = watched_[worker];
  if (one.answered_round == round_) return one.last_us;
  return std::max(one.last_us, Loop::precise_now() - asked_us_);
}

}  // namespace sallyport
