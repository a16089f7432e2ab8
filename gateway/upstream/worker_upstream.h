// What one worker keeps for one upstream: its balancer and its connections. Dies with the worker's view of the
// snapshot.
#pragma once
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "transport/transport.h"
#include "transport/upstream_sessions.h"
#include "upstream/balancer.h"
#include "upstream/gate.h"
#include "upstream/h2_pool.h"
#include "upstream/pool.h"
#include "upstream/server_queue.h"
#include "upstream/upstream.h"

namespace sallyport {

// What the upstreams of one worker share.
struct UpstreamContextOfWorker {
  IoContext* io;
  UpstreamSessions* tls_sessions;
  // Called when a connect failed: the resolver looks the name up again. Any cost is the control thread's.
  std::function<void(Endpoint&)> connect_failed;
  size_t soft_limit = 256;  // of HTTP/1.1 connections to one server, see Gate
  unsigned worker = 0;      // its number, for what is counted by worker
};

struct WorkerUpstream final : private IdleHolder {
  WorkerUpstream(const Upstream& the_upstream, UpstreamContextOfWorker& the_context, uint64_t seed);
  ~WorkerUpstream();

  // A connection that its request is done with: to who waits for its server, or to the pool.
  void give(TransportPtr transport, ServerSlot slot, std::string_view key, size_t endpoint, uint32_t generation);
  // ServerBits that have all the connections they may have, and none of them idle here.
  ServerBits full() const noexcept;

  const Upstream& upstream;
  UpstreamContextOfWorker& context;
  Balancer balancer;
  std::vector<std::unique_ptr<Pool>> pools;       // one per endpoint
  std::vector<std::unique_ptr<Gate>> gates;       // likewise
  std::vector<std::unique_ptr<H2Pool>> h2_pools;  // likewise; none where only HTTP/1.1 is spoken

 private:
  void yield_idle() override;
};

}  // namespace sallyport
