// Picks a server. One per worker and upstream; loads and health are shared through the endpoints. Single-threaded.
#pragma once
#include <cstdint>
#include <vector>

#include "upstream/upstream.h"

namespace sallyport {

// Servers by their place in the upstream: a bit each, the first 64.
using ServerBits = uint64_t;
// Those that already failed for this connection or request.
using Tried = ServerBits;

class Balancer {
 public:
  struct Choice {
    enum class Kind : uint8_t {
      server,  // index
      busy,    // it has all the connections it may have: index, or -1 where any server will do
      none,    // no server is up, or all were tried
    };
    Kind kind = Kind::none;
    int index = -1;
  };
  struct Wish {
    uint64_t key = 0;   // stable_hash of what hashes go by: the client's address, or the path
    Tried tried = 0;
    ServerBits full = 0;   // have their max_connections; of servers beyond the 64th that shows at the connect
    int preferred = -1;  // where the client was before; taken if it can be used
    uint64_t now_ms = 0;  // of the loop, for slow_start
  };

  // seed: differs between workers, so that they do not all begin with the same server.
  Balancer(const Upstream& upstream, uint64_t seed);

  // ServerBits that are up, enabled, have an address and a weight, and were not tried; backups where there is none; and where there
  // is none either, those that only traffic has found fault with: better a doubtful server than none.
  Choice pick(const Wish& wish);
  // Those that pick() would choose from, whatever their load. preferred: as in Wish.
  std::vector<size_t> candidates(Tried tried, int preferred = -1) const;
  // Whether a server other than those tried could be asked.
  bool another(Tried tried) const { return tier_of(tried) != Tier::nobody; }

 private:
  enum class Tier : uint8_t { primary, backup, doubtful, nobody };
  bool usable(size_t index, Tier tier, Tried tried) const;
  // For a client that was there before.
  bool stays(int index, Tier tier, Tried tried) const;
  Tier tier_of(Tried tried) const;
  // 256 a unit, and less while a server that was down takes up its work again.
  uint32_t weight(size_t index, uint64_t now_ms) const;
  int by_turns(const Wish& wish, Tier tier, ServerBits avoid);
  int by_load(const Wish& wish, Tier tier, ServerBits avoid);
  int by_hash(const Wish& wish, Tier tier, ServerBits avoid) const;
  int by_chance(const Wish& wish, Tier tier, ServerBits avoid);
  bool lighter(size_t a, size_t b, uint64_t now_ms, uint64_t more) const;
  uint64_t random() noexcept;

  const Upstream& upstream_;
  std::vector<int64_t> current_;  // smooth weighted round-robin: what each server has saved up
  size_t next_;                   // where least-connections begins among equals
  uint64_t random_;
};

}  // namespace sallyport
