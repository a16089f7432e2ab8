#include "admin/status_json.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "admin/report_json.h"
#include "base/clock.h"
#include "base/log.h"

namespace sallyport {
namespace {

constexpr auto kExpiring = std::chrono::hours(14 * 24);

Json listeners_json(const Control& control) {
  Json out = Json::array();
  for (const Control::ListenerState& listener : control.listener_states()) {
    Json binds = Json::array();
    for (const auto& bind : listener.binds) {
      Json one;
      one["address"] = bind.address;
      one["state"] = bind.error.empty() ? "open" : "failed";
      if (!bind.error.empty()) one["error"] = bind.error;
      binds.push_back(std::move(one));
    }
    Json one;
    one["name"] = listener.name;
    one["binds"] = std::move(binds);
    one["sessions"] = listener.sessions;
    out.push_back(std::move(one));
  }
  return out;
}

Json certificates_json(const Control& control) {
  size_t total = 0;
  size_t expiring = 0;
  if (control.snapshot().certs) {
    const auto soon = std::chrono::system_clock::now() + kExpiring;
    const auto& all = control.snapshot().certs->all();
    total = all.size();
    expiring = static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& one) { return one->not_after < soon; }));
  }
  return {{"total", total}, {"expiring", expiring}};
}

}  // namespace

void ServiceCounts::count(ServiceState state) noexcept {
  ++total;
  if (state == ServiceState::up || state == ServiceState::none) ++up;
  if (state == ServiceState::degraded) ++degraded;
  if (state == ServiceState::down) ++down;
}

ServiceCounts count_services(const Snapshot& snapshot) {
  ServiceCounts counts;
  for (const auto& service : snapshot.services) counts.count(state_of(*service));
  return counts;
}

Json status_json(const Control& control, const History& history, const ServiceCounts& services, int64_t started) {
  const Snapshot& snapshot = control.snapshot();
  const ReloadReport& last = control.last_reload();
  const GatewayTotals totals = totals_of(control);
  Json out;
  out["version"] = SALLYPORT_VERSION;
  out["pid"] = getpid();
  out["state"] = control.draining() ? "draining" : !control.serving() ? "starting" : control.degraded() ? "degraded" : "serving";
  out["started"] = started;
  out["now"] = unix_ms();
  out["workers"] = control.workers().size();
  out["config"] = snapshot.config.directory.string();
  out["sessions"] = control.limits().connections.load(std::memory_order_relaxed);
  out["max_connections"] = control.limits().max_connections.load();
  out["totals"] = {{"connections", totals.connections},
                   {"requests", totals.requests},
                   {"errors", history.total_errors()},
                   {"received_bytes", totals.received_bytes},
                   {"sent_bytes", totals.sent_bytes},
                   {"handshakes", totals.handshakes},
                   {"handshake_failures", totals.handshake_failures},
                   {"rejected", totals.rejected}};
  out["rates"] = rates_json(history.rates());
  out["services"] = {{"total", services.total},
                     {"up", services.up},
                     {"degraded", services.degraded},
                     {"down", services.down},
                     {"left_out", snapshot.config.left_out.size()}};
  out["listeners"] = listeners_json(control);
  out["reload"] = {{"count", control.reloads()}, {"refused", control.reloads_refused()}};
  if (last.time != 0) out["reload"]["last"] = report_json(last);
  out["log"] = {{"level", log::name_of(log::level())}, {"dropped", log::dropped()}};
  out["certificates"] = certificates_json(control);
  return out;
}

}  // namespace sallyport
