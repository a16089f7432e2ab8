#include "admin/explain_servers.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace sallyport {
namespace {

using config::Balance;
using config::Sticky;

// What is known of one server, read once: checks go on meanwhile.
struct Known {
  const Endpoint* endpoint;
  EndpointHealth::Report health;
  bool addressed, backup, dead, full;
  uint32_t weight;
  AdminState admin;
  bool could() const noexcept { return addressed && weight > 0 && !dead && admin == AdminState::enabled; }
  bool fit() const noexcept { return could() && health.state != EndpointHealth::State::down; }
};

std::vector<Known> look_at(const Upstream& upstream) {
  std::vector<Known> out;
  const bool any_place = std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(), [](const auto& endpoint) {
    return endpoint->place() != Endpoint::kNoPlace && endpoint->has_address();
  });
  for (const auto& endpoint : upstream.endpoints) {
    // Of a name that stands for several: places that are not taken are no servers.
    const bool empty_place = endpoint->place() != Endpoint::kNoPlace && !endpoint->has_address();
    if (empty_place && (any_place || endpoint->place() > 0)) continue;
    out.push_back({endpoint.get(), endpoint->health.report(), endpoint->has_address(), endpoint->backup(),
                   endpoint->health.dead(), endpoint->full(), endpoint->weight(), endpoint->admin()});
  }
  return out;
}

std::string down_text(const Known& known) {
  const std::string reason = known.health.reason.empty() ? "" : ": " + known.health.reason;
  return (known.health.traffic && !known.dead ? "taken out by what its traffic met" : "down") + reason;
}

std::string up_text(const Known& known) {
  std::string out = known.health.state == EndpointHealth::State::up     ? "up"
                    : known.health.state == EndpointHealth::State::down ? down_text(known) + "; but there is no other"
                                                                        : "not checked";
  if (known.backup) out += ", a backup; no other is up";
  return out;
}

std::string not_text(const Known& known, bool backups_wait) {
  if (!known.addressed) return "unresolved: its name has no address";
  if (known.health.state == EndpointHealth::State::down) return down_text(known);
  if (known.admin == AdminState::disabled) return "disabled by an operator";
  if (known.admin == AdminState::draining) return "draining, as an operator wished: no new clients";
  if (known.weight == 0) return "weight 0: no new clients";
  if (known.backup && backups_wait) return "a backup: others are up";
  return "not needed";
}

const char* how_text(Balance balance) noexcept {
  switch (balance) {
    case Balance::round_robin: return "one after the other, by weight";
    case Balance::least_connections: return "who has the fewest connections, by weight";
    case Balance::source_hash: return "by the client's address, always the same one";
    case Balance::uri_hash: return "by the path, always the same one";
    case Balance::random: return "by chance, the less busy of two";
  }
  return "";
}

// The server that a client of a sticky service had; 0: none that is remembered.
uint64_t remembered(const Service& service, const Address& client, uint64_t now_ms) {
  const auto& table = service.upstream->sticky;
  std::string key(client.unmapped().ip_bytes());
  if (!table || key.empty()) return 0;
  const config::Sticky& rules = service.config.sticky;
  if (key.size() == 16)
    for (size_t bit = rules.ipv6_prefix; bit < 128; ++bit)
      key[bit / 8] = static_cast<char>(static_cast<unsigned char>(key[bit / 8]) & ~(0x80U >> (bit % 8)));
  const auto expire = static_cast<uint64_t>(rules.expire.count());
  for (const StickyTable::Entry& entry : table->entries(now_ms))
    if (entry.client == key && (expire == 0 || entry.idle_ms <= expire)) return entry.server;
  return 0;
}

void stick(Standings& out, const std::vector<Known>& known, uint64_t server) {
  for (size_t i = 0; i < known.size(); ++i) {
    if (known[i].endpoint->hash() != server) continue;
    const bool drains = known[i].admin == AdminState::draining && known[i].addressed && known[i].weight > 0 && !known[i].dead &&
                        known[i].health.state != EndpointHealth::State::down;
    if (!out.servers[i].takes && drains) {
      out.servers[i].takes = true;
      out.servers[i].why = "draining";
    }
    if (!out.servers[i].takes) {
      out.how += format("; this client had {}, which it cannot have now", out.servers[i].server);
      return;
    }
    for (ServerStanding& other : out.servers) {
      if (&other != &out.servers[i] && other.takes) other.why += ", but this client sticks to another";
      other.takes = &other == &out.servers[i];
    }
    out.servers[i].why += ", and this client sticks to it";
    return;
  }
}

}  // namespace

Standings servers_for(const Service& service, const Address& client, uint64_t now_ms) {
  Standings out;
  const std::vector<Known> known = look_at(*service.upstream);
  const auto count = [&](auto which) { return std::count_if(known.begin(), known.end(), which); };
  const bool primaries = count([](const Known& k) { return k.fit() && !k.backup; }) > 0;
  const bool any_fit = count([](const Known& k) { return k.fit(); }) > 0;
  const auto chosen = [&](const Known& k) { return any_fit ? k.fit() && k.backup != primaries : k.could(); };
  const auto candidates = count(chosen);
  const auto free = count([&](const Known& k) { return chosen(k) && !k.full; });

  for (const Known& k : known) {
    ServerStanding& standing = out.servers.emplace_back();
    standing.server = k.endpoint->label();
    if (!chosen(k)) {
      standing.why = not_text(k, primaries);
    } else if (k.full && free > 0) {
      standing.why = format("has its {} connections", k.endpoint->max_connections());
    } else {
      standing.takes = true;
      standing.why = up_text(k) + (k.full ? ", with all the connections it may have" : "");
    }
  }
  if (candidates == 0) return out;
  out.outcome = free > 0                        ? Standings::Outcome::taken
                : service.config.queue.size > 0 ? Standings::Outcome::queued
                                                : Standings::Outcome::full;
  if (known.size() > 1) out.how = how_text(service.config.balance);
  if (service.config.sticky.by == Sticky::By::cookie)
    out.how += format("; who brings the cookie {} goes to the server it says", service.config.sticky.cookie);
  if (service.config.sticky.by == Sticky::By::source) {
    out.how += "; then always the same, as long as it is up";
    if (const uint64_t server = remembered(service, client, now_ms); server != 0) stick(out, known, server);
  }
  return out;
}

}  // namespace sallyport
