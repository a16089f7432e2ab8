#include "admin/totals.h"

namespace sallyport {

ServiceTotals totals_of(const Service& service) {
  ServiceTotals out;
  if (!service.stats) return out;
  service.stats->each([&](const ServiceCounters& counters) {
    out.connections += counters.connections.get();
    out.open += counters.open.get();
    out.errors += counters.errors.get();
    out.retries += counters.retries.get();
    out.received_bytes += counters.received_bytes.get();
    out.sent_bytes += counters.sent_bytes.get();
    for (const auto& method : counters.requests)
      for (size_t status = 0; status < method.size(); ++status) out.status[status] += method[status].get();
  });
  for (uint64_t count : out.status) out.requests += count;
  return out;
}

ServerTotals totals_of(const Endpoint& endpoint) {
  ServerTotals out;
  endpoint.stats.each([&](const ServerCounters& counters) {
    out.connections += counters.connections.get();
    out.failures += counters.failures.get();
    out.received_bytes += counters.received_bytes.get();
    out.sent_bytes += counters.sent_bytes.get();
    out.errors += counters.responses[0].get() + counters.responses[5].get();
    for (const Counter& responses : counters.responses) out.requests += responses.get();
  });
  return out;
}

GatewayTotals totals_of(const Control& control) {
  GatewayTotals out;
  for (const auto& worker : control.workers()) {
    const Counters& counters = worker->counters();
    out.connections += counters.connections.get();
    out.requests += counters.requests.get();
    out.received_bytes += counters.bytes_in.get();
    out.sent_bytes += counters.bytes_out.get();
    out.handshakes += counters.handshakes.get();
    out.handshake_failures += counters.handshake_failures.get();
    out.server_errors += counters.status[5].get();
    for (const Counter& rejected : counters.rejected) out.rejected += rejected.get();
  }
  return out;
}

}  // namespace sallyport
