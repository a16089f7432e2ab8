#include "upstream/trouble.h"

#include "base/log.h"

namespace sallyport {

void note_trouble(const Upstream& upstream, Endpoint& endpoint, uint64_t now_ms, std::string_view what) {
  if (!endpoint.health.traffic_failed(upstream.health, now_ms, what)) return;
  log::warn("service {}: server {} gets no new clients for a while, after {} failures in a row: {}", upstream.service,
            endpoint.label(), upstream.health.passive_failures, what);
}

void note_hint(const Upstream& upstream, Endpoint& endpoint, ProtocolHint hint) {
  if (hint == ProtocolHint::none || endpoint.hinted.exchange(true, std::memory_order_relaxed)) return;
  log::warn("service {}: server {}: {}", upstream.service, endpoint.label(), advice(hint, upstream.side));
}

}  // namespace sallyport
