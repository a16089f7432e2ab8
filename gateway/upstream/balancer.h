// Picks a server. One per worker and upstream; loads are shared through the endpoints. Single-threaded.
#pragma once
#include <cstdint>
#include <vector>

#include "upstream/upstream.h"

namespace sallyport {

// Servers that already failed for this connection or request: a bit each, the first 64.
using Tried = uint64_t;

class Balancer {
 public:
  // seed: differs between workers, so that they do not all begin with the same server.
  Balancer(const Upstream& upstream, uint64_t seed);

  // The index of a server with an address that was not tried yet; -1 if there is none. key: stable_hash of the client's
  // address, for source-hash.
  int pick(uint64_t key, Tried tried);

 private:
  bool usable(size_t index, Tried tried) const;
  int smooth_round_robin(Tried tried);
  int least_connections(Tried tried);
  int source_hash(uint64_t key, Tried tried);

  const Upstream& upstream_;
  std::vector<int64_t> current_;  // smooth weighted round-robin: what each server has saved up
  size_t next_;                   // where least-connections begins among equals
};

}  // namespace sallyport
