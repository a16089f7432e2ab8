// What flows count: of the listener and the service a client came to, and of the server it got. See
// metrics/service_stats.
#pragma once
#include <cstdint>

#include "layers/layer.h"
#include "layers/service.h"
#include "upstream/endpoint.h"

namespace sallyport {

// How many of the bytes of a request or a relay are in the counters already.
class CountedBytes {
 public:
  // in, out: all of it until now, from and to the client. service, server: null where there is none (yet); what moved
  // before is counted for them once there is one.
  void count(const Client& client, const Service* service, const Endpoint* server, uint64_t in, uint64_t out);
  void reset() noexcept { *this = CountedBytes(); }

 private:
  struct Both {
    uint64_t in = 0, out = 0;
  };
  Both total_, service_, server_;
};

}  // namespace sallyport
