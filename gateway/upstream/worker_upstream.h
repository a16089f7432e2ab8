// What one worker keeps for one upstream: its balancer and its connections. Dies with the worker's view of the
// snapshot.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "transport/transport.h"
#include "transport/upstream_sessions.h"
#include "upstream/balancer.h"
#include "upstream/gate.h"
#include "upstream/h2_pool.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"

namespace sallyport {

// What the upstreams of one worker share.
struct UpstreamContextOfWorker {
  IoContext* io;
  UpstreamSessions* tls_sessions;
  // Called when a connect failed: the resolver looks the name up again. Any cost is the control thread's.
  std::function<void(Endpoint&)> connect_failed;
  size_t soft_limit = 256;  // of HTTP/1.1 connections to one server, see Gate
};

struct WorkerUpstream {
  WorkerUpstream(const Upstream& the_upstream, UpstreamContextOfWorker& the_context, uint64_t seed)
      : upstream(the_upstream), context(the_context), balancer(the_upstream, seed) {
    for (size_t i = 0; i < upstream.endpoints.size(); ++i) {
      pools.push_back(std::make_unique<Pool>(context.io->loop));
      gates.push_back(std::make_unique<Gate>(context.io->loop, context.soft_limit));
      if (upstream.protocol != config::HttpProtocol::http1) h2_pools.push_back(std::make_unique<H2Pool>(*context.io));
    }
  }
  const Upstream& upstream;
  UpstreamContextOfWorker& context;
  Balancer balancer;
  std::vector<std::unique_ptr<Pool>> pools;       // one per endpoint
  std::vector<std::unique_ptr<Gate>> gates;       // likewise
  std::vector<std::unique_ptr<H2Pool>> h2_pools;  // likewise; none where only HTTP/1.1 is spoken
};

}  // namespace sallyport
