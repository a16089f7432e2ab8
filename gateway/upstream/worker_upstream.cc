#include "upstream/worker_upstream.h"

#include <algorithm>
#include <utility>

namespace sallyport {

WorkerUpstream::WorkerUpstream(const Upstream& the_upstream, UpstreamContextOfWorker& the_context, uint64_t seed)
    : upstream(the_upstream), context(the_context), balancer(the_upstream, seed) {
  IdleHolder* holder = upstream.queue ? static_cast<IdleHolder*>(this) : nullptr;
  for (size_t i = 0; i < upstream.endpoints.size(); ++i) {
    pools.push_back(std::make_unique<Pool>(context.io->loop, holder));
    gates.push_back(std::make_unique<Gate>(context.io->loop, context.soft_limit));
    if (upstream.protocol != config::HttpProtocol::http1)
      h2_pools.push_back(std::make_unique<H2Pool>(*context.io, holder));
  }
  if (holder != nullptr) upstream.queue->enter(context.io->loop, *holder);
}

WorkerUpstream::~WorkerUpstream() {
  if (upstream.queue) upstream.queue->leave(*this);
}

void WorkerUpstream::give(TransportPtr transport, ServerSlot slot, std::string_view key, size_t endpoint,
                          uint32_t generation) {
  const bool limited = static_cast<bool>(slot);
  if (limited && upstream.queue && upstream.queue->hand_over(context.io->loop, slot, transport, key, generation)) return;
  pools[endpoint]->count_in(upstream.endpoints[endpoint]->stats.of(context.worker).idle);
  pools[endpoint]->give(std::move(transport), key, generation, std::move(slot));
  // Somebody may have begun to wait between the look and the pool.
  if (limited && upstream.queue && upstream.queue->waiting() != 0) yield_idle();
}

ServerBits WorkerUpstream::full() const noexcept {
  if (!upstream.queue) return 0;
  ServerBits out = 0;
  const size_t count = std::min<size_t>(upstream.endpoints.size(), 64);
  for (size_t i = 0; i < count; ++i)
    if (upstream.endpoints[i]->full() && pools[i]->size() == 0 && (h2_pools.empty() || h2_pools[i]->size() == 0))
      out |= ServerBits{1} << i;
  return out;
}

void WorkerUpstream::yield_idle() {
  for (size_t i = 0; i < upstream.endpoints.size(); ++i) {
    const Endpoint& endpoint = *upstream.endpoints[i];
    if (endpoint.max_connections() == 0) continue;
    while (upstream.queue->waits_for(endpoint))
      if (!pools[i]->drop_oldest() && (h2_pools.empty() || !h2_pools[i]->drop_idle())) break;
  }
}

}  // namespace sallyport
