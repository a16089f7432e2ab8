#include "admin/sampler.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace sallyport {
namespace {

constexpr uint64_t kStepMs = uint64_t{History::kStepSeconds} * 1000;

History::Sums sums_of(const ServiceTotals& totals) {
  History::Sums out{};
  out[History::requests] = totals.requests;
  out[History::errors] = totals.errors;
  out[History::connections] = totals.connections;
  out[History::received_bytes] = totals.received_bytes;
  out[History::sent_bytes] = totals.sent_bytes;
  return out;
}

History::Sums sums_of(const GatewayTotals& totals) {
  History::Sums out{};
  out[History::requests] = totals.requests;
  out[History::connections] = totals.connections;
  out[History::received_bytes] = totals.received_bytes;
  out[History::sent_bytes] = totals.sent_bytes;
  return out;
}

}  // namespace

Sampler::Sampler(Control& control, History& history, Hooks hooks)
    : control_(control), history_(history), hooks_(std::move(hooks)), due_ms_(control.loop().now() + kStepMs) {
  control_.loop().arm(deadline_, std::chrono::milliseconds(kStepMs));
}

// Steps are as long as they say, whatever one of them took.
void Sampler::on_deadline(Deadline&) {
  const uint64_t now = control_.loop().now();
  due_ms_ = std::max(due_ms_ + kStepMs, now + kStepMs / 2);
  control_.loop().arm(deadline_, std::chrono::milliseconds(due_ms_ - now));
  if (snapshot_) return;  // the round before is not over yet
  snapshot_ = control_.snapshot_ptr();
  next_ = 0;
  counting_ = {};
  history_.begin_step();
  hooks_.begin(*snapshot_);
  on_run();
}

void Sampler::on_run() {
  const auto& services = snapshot_->services;
  for (const size_t stop = std::min(next_ + kSlice, services.size()); next_ < stop; ++next_) {
    const Service& service = *services[next_];
    const ServiceTotals totals = totals_of(service);
    if (service.stats && service.stats->used())
      history_.add(service.config.name, service.stats.get(), sums_of(totals));
    counting_.count(state_of(service));
    hooks_.look(next_, service, totals);
  }
  if (next_ < services.size())
    control_.loop().give_way(*this);
  else
    end();
}

ServiceCounts Sampler::services() const {
  const bool known = services_of_.lock() == control_.snapshot_ptr();
  return known ? services_ : count_services(control_.snapshot());
}

void Sampler::end() {
  services_of_ = std::exchange(snapshot_, nullptr);
  services_ = counting_;
  history_.end_step(sums_of(totals_of(control_)), unix_ms());
  hooks_.end();
}

}  // namespace sallyport
