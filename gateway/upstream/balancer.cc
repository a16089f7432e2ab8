#include "upstream/balancer.h"

#include <algorithm>
#include <cmath>

namespace sallyport {
namespace {

constexpr uint32_t kUnit = 256;  // of a weight, so that slow_start has steps

bool holds(ServerBits servers, size_t index) noexcept { return index < 64 && (servers >> index & 1) != 0; }

}  // namespace

Balancer::Balancer(const Upstream& upstream, uint64_t seed)
    : upstream_(upstream),
      current_(upstream.endpoints.size()),
      next_(0),
      random_(stable_hash(upstream.service, seed) | 1) {
  if (current_.empty()) return;
  next_ = seed % current_.size();
  Wish wish;
  for (uint64_t i = 0; i < next_; ++i) by_turns(wish, Tier::primary, 0);
}

bool Balancer::usable(size_t index, Tier tier, Tried tried) const {
  if (holds(tried, index)) return false;
  const Endpoint& endpoint = *upstream_.endpoints[index];
  if (endpoint.admin() != AdminState::enabled) return false;
  switch (tier) {
    case Tier::primary:
      if (endpoint.backup() || !endpoint.health.usable()) return false;
      break;
    case Tier::backup:
      if (!endpoint.backup() || !endpoint.health.usable()) return false;
      break;
    case Tier::doubtful:
      if (endpoint.health.dead()) return false;
      break;
    case Tier::nobody: return false;
  }
  return endpoint.weight() > 0 && endpoint.has_address();
}

Balancer::Tier Balancer::tier_of(Tried tried) const {
  for (Tier tier : {Tier::primary, Tier::backup, Tier::doubtful})
    for (size_t i = 0; i < current_.size(); ++i)
      if (usable(i, tier, tried)) return tier;
  return Tier::nobody;
}

// A client of a backup stays there only as long as nobody else is up; one of a server that is drained, for good.
bool Balancer::stays(int preferred, Tier tier, Tried tried) const {
  if (preferred < 0 || static_cast<size_t>(preferred) >= current_.size()) return false;
  const auto index = static_cast<size_t>(preferred);
  const Endpoint& endpoint = *upstream_.endpoints[index];
  if (endpoint.admin() != AdminState::draining) return tier != Tier::nobody && usable(index, tier, tried);
  return !holds(tried, index) && endpoint.health.usable() && endpoint.weight() > 0 && endpoint.has_address() &&
         (!endpoint.backup() || tier != Tier::primary);
}

std::vector<size_t> Balancer::candidates(Tried tried, int preferred) const {
  std::vector<size_t> out;
  const Tier tier = tier_of(tried);
  for (size_t i = 0; i < current_.size(); ++i)
    if (usable(i, tier, tried) || (static_cast<int>(i) == preferred && stays(preferred, tier, tried))) out.push_back(i);
  return out;
}

uint32_t Balancer::weight(size_t index, uint64_t now_ms) const {
  const Endpoint& endpoint = *upstream_.endpoints[index];
  const uint32_t whole = endpoint.weight() * kUnit;
  const auto ramp = static_cast<uint64_t>(upstream_.slow_start.count());
  const uint64_t back = endpoint.health.recovered_ms();
  if (ramp == 0 || back == 0 || now_ms >= back + ramp) return whole;
  const uint64_t passed = now_ms > back ? now_ms - back : 0;
  return std::max<uint32_t>(1, static_cast<uint32_t>(whole * passed / ramp));
}

Balancer::Choice Balancer::pick(const Wish& wish) {
  using Chosen = Choice::Kind;
  if (current_.size() == 1) {
    if (!usable(0, Tier::doubtful, wish.tried) && !stays(wish.preferred, Tier::nobody, wish.tried)) return {};
    return {holds(wish.full, 0) ? Chosen::busy : Chosen::server, 0};
  }
  const Tier tier = tier_of(wish.tried);
  if (stays(wish.preferred, tier, wish.tried))
    return {holds(wish.full, static_cast<size_t>(wish.preferred)) ? Chosen::busy : Chosen::server, wish.preferred};
  if (tier == Tier::nobody) return {};
  int index = -1;
  switch (upstream_.balance) {
    case config::Balance::round_robin: index = by_turns(wish, tier, wish.full); break;
    case config::Balance::least_connections: index = by_load(wish, tier, wish.full); break;
    case config::Balance::random: index = by_chance(wish, tier, wish.full); break;
    case config::Balance::source_hash:
    case config::Balance::uri_hash:
      // Who is remembered need not wait for the server that the hash says: the one it gets is the one it keeps.
      index = by_hash(wish, tier, upstream_.sticky ? wish.full : 0);
      if (index < 0) break;
      return {holds(wish.full, static_cast<size_t>(index)) ? Chosen::busy : Chosen::server, index};
  }
  return index < 0 ? Choice{Chosen::busy, -1} : Choice{Chosen::server, index};
}

// Each server saves up its weight at every turn; the richest is picked and pays what all got together. Spreads a
// server's turns out evenly instead of in bursts.
int Balancer::by_turns(const Wish& wish, Tier tier, ServerBits avoid) {
  int best = -1;
  int64_t total = 0;
  for (size_t i = 0; i < current_.size(); ++i) {
    if (!usable(i, tier, wish.tried | avoid)) continue;
    const int64_t share = weight(i, wish.now_ms);
    current_[i] += share;
    total += share;
    if (best < 0 || current_[i] > current_[static_cast<size_t>(best)]) best = static_cast<int>(i);
  }
  if (best >= 0) current_[static_cast<size_t>(best)] -= total;
  return best;
}

// Whether one more would be less of a load for a than for b, by their weights.
bool Balancer::lighter(size_t a, size_t b, uint64_t now_ms, uint64_t more) const {
  const auto load = [&](size_t i) {
    return uint64_t{upstream_.endpoints[i]->load.load(std::memory_order_relaxed)} + more;
  };
  return load(a) * weight(b, now_ms) < load(b) * weight(a, now_ms);
}

int Balancer::by_load(const Wish& wish, Tier tier, ServerBits avoid) {
  int best = -1;
  for (size_t step = 0; step < current_.size(); ++step) {
    const size_t i = (next_ + step) % current_.size();
    if (!usable(i, tier, wish.tried | avoid)) continue;
    if (best < 0 || lighter(i, static_cast<size_t>(best), wish.now_ms, 1)) best = static_cast<int>(i);
  }
  next_ = (next_ + 1) % current_.size();
  return best;
}

// Weighted rendezvous hashing: each pair of key and server has a score that nothing else changes, so removing one of
// n servers moves only what was its own.
int Balancer::by_hash(const Wish& wish, Tier tier, ServerBits avoid) const {
  int best = -1;
  double best_score = 0;
  for (size_t i = 0; i < current_.size(); ++i) {
    if (!usable(i, tier, wish.tried | avoid)) continue;
    const Endpoint& endpoint = *upstream_.endpoints[i];
    uint64_t mixed = wish.key ^ endpoint.hash();
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

// Two drawn by their weights, and the one with the lighter load.
int Balancer::by_chance(const Wish& wish, Tier tier, ServerBits avoid) {
  uint64_t total = 0;
  for (size_t i = 0; i < current_.size(); ++i)
    if (usable(i, tier, wish.tried | avoid)) total += weight(i, wish.now_ms);
  if (total == 0) return -1;
  const auto draw = [&]() -> int {
    uint64_t left = random() % total;
    for (size_t i = 0; i < current_.size(); ++i) {
      if (!usable(i, tier, wish.tried | avoid)) continue;
      const uint32_t share = weight(i, wish.now_ms);
      if (left < share) return static_cast<int>(i);
      left -= share;
    }
    return -1;  // one went down between the two looks
  };
  const int first = draw();
  const int second = draw();
  if (first < 0 || second < 0) return std::max(first, second);
  // What they have, not what they would have: the draw went by the weights, and must decide where nothing is going on.
  return lighter(static_cast<size_t>(second), static_cast<size_t>(first), wish.now_ms, 0) ? second : first;
}

// xorshift64*: quick, and good enough to spread a load.
uint64_t Balancer::random() noexcept {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545f4914f6cdd1dULL >> 11;
}

}  // namespace sallyport
