#include "upstream/balancer.h"

#include <cmath>

namespace sallyport {

Balancer::Balancer(const Upstream& upstream, uint64_t seed)
    : upstream_(upstream), current_(upstream.endpoints.size()), next_(0) {
  if (current_.empty()) return;
  next_ = seed % current_.size();
  for (uint64_t i = 0; i < next_; ++i) smooth_round_robin(0);
}

bool Balancer::usable(size_t index, Tried tried) const {
  if (index < 64 && (tried >> index & 1) != 0) return false;
  const Endpoint& endpoint = *upstream_.endpoints[index];
  return endpoint.weight() > 0 && !endpoint.address().empty();
}

int Balancer::pick(uint64_t key, Tried tried) {
  if (current_.size() == 1) return usable(0, tried) ? 0 : -1;
  switch (upstream_.balance) {
    case config::Balance::round_robin: return smooth_round_robin(tried);
    case config::Balance::least_connections: return least_connections(tried);
    case config::Balance::source_hash: return source_hash(key, tried);
  }
  return -1;
}

// Each server saves up its weight at every turn; the richest is picked and pays what all got together. Spreads a
// server's turns out evenly instead of in bursts.
int Balancer::smooth_round_robin(Tried tried) {
  int best = -1;
  int64_t total = 0;
  for (size_t i = 0; i < current_.size(); ++i) {
    if (!usable(i, tried)) continue;
    int64_t weight = upstream_.endpoints[i]->weight();
    current_[i] += weight;
    total += weight;
    if (best < 0 || current_[i] > current_[static_cast<size_t>(best)]) best = static_cast<int>(i);
  }
  if (best >= 0) current_[static_cast<size_t>(best)] -= total;
  return best;
}

int Balancer::least_connections(Tried tried) {
  int best = -1;
  uint64_t best_load = 0;
  uint64_t best_weight = 1;
  for (size_t step = 0; step < current_.size(); ++step) {
    size_t i = (next_ + step) % current_.size();
    if (!usable(i, tried)) continue;
    const Endpoint& endpoint = *upstream_.endpoints[i];
    uint64_t load = endpoint.load.load(std::memory_order_relaxed) + 1;
    if (best < 0 || load * best_weight < best_load * endpoint.weight()) {
      best = static_cast<int>(i);
      best_load = load;
      best_weight = endpoint.weight();
    }
  }
  next_ = (next_ + 1) % current_.size();
  return best;
}

// Weighted rendezvous hashing: each pair of client and server has a score that nothing else changes, so removing one of
// n servers moves only its own clients.
int Balancer::source_hash(uint64_t key, Tried tried) {
  int best = -1;
  double best_score = 0;
  for (size_t i = 0; i < current_.size(); ++i) {
    if (!usable(i, tried)) continue;
    const Endpoint& endpoint = *upstream_.endpoints[i];
    uint64_t mixed = key ^ endpoint.hash();
    uint64_t hash = stable_hash({reinterpret_cast<const char*>(&mixed), sizeof mixed});
    double unit = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;  // in (0, 1): 2^53 steps
    double score = -static_cast<double>(endpoint.weight()) / std::log(unit);
    if (best < 0 || score > best_score) {
      best = static_cast<int>(i);
      best_score = score;
    }
  }
  return best;
}

}  // namespace sallyport
