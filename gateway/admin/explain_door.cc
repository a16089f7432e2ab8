#include "admin/explain_door.h"

#include <algorithm>
#include <string_view>

#include "admin/explain_routes.h"

namespace sallyport {
namespace {

// 0: not this one; else how exactly the bind says it. The kernel hands a client to the most exact socket.
int fits(const config::Bind& bind, const Address& to) {
  if (bind.any) return 1;
  if (bind.address.is_any()) return bind.address.family() == to.family() ? 2 : 0;
  return bind.address.ip_bytes() == to.ip_bytes() ? 3 : 0;
}

// The built-in listener for ssh is there when a service uses it.
bool is_open(const config::Config& config, const config::Listener& listener) {
  if (listener.off) return false;
  const auto uses = [&](const config::Service& service) { return stands_on(service, listener.name); };
  return listener.name != "ssh" || std::any_of(config.services.begin(), config.services.end(), uses) ||
         std::any_of(config.kept.begin(), config.kept.end(), uses);
}

// public_port is what clients see: it goes before the port that is bound.
std::vector<Door> doors_at(const config::Config& config, uint16_t port, bool as_clients_see) {
  std::vector<Door> out;
  for (const config::Listener& listener : config.listeners) {
    if (!is_open(config, listener)) continue;
    for (const config::Bind& bind : listener.binds) {
      if (!bind.address.is_ip()) continue;
      const uint16_t seen = as_clients_see && listener.public_port != 0 ? listener.public_port : bind.address.port();
      if (seen == port) out.push_back({&listener, &bind});
    }
  }
  return out;
}

}  // namespace

std::optional<Door> find_door(const config::Config& config, const ExplainTarget& target, const Address& to) {
  Address at = to;
  std::string_view bare = target.host;
  if (bare.starts_with('[')) bare = bare.substr(1, bare.size() - 2);
  if (to.empty() && target.is_ip)
    if (auto ip = Address::parse_ip(bare, 0)) at = *ip;
  std::optional<Door> any;
  for (const bool as_clients_see : {true, false}) {
    const std::vector<Door> doors = doors_at(config, target.port, as_clients_see);
    if (doors.empty()) continue;
    const auto best = std::max_element(doors.begin(), doors.end(), [&](const Door& a, const Door& b) {
      return fits(*a.bind, at) < fits(*b.bind, at);
    });
    if (!at.empty() && fits(*best->bind, at) > 0) return *best;
    if (any) continue;
    any = doors.front();
    for (const Door& other : doors)
      if (other.listener != any->listener) any->others.push_back(other.listener);
    any->sure = any->others.empty();
  }
  // Nobody has the address that was said. One in the target may be translated on the way, by a router.
  return to.empty() ? any : std::nullopt;
}

}  // namespace sallyport
