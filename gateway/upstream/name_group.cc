#include "upstream/name_group.h"

#include <algorithm>
#include <map>

#include "base/format.h"

namespace sallyport {
namespace {

bool holds(const std::vector<Address>& addresses, const Address& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

// The address of a family that a server is to have: the one it has if that is still good, for an answer in another
// order is no change; else the first.
Address of_family(const std::vector<Address>& addresses, int family, const Endpoint::Addresses& now) {
  for (const Address* current : {&now.first, &now.second})
    if (current->family() == family && holds(addresses, *current)) return *current;
  for (const Address& address : addresses)
    if (address.family() == family) return address;
  return {};
}

// One address of each family, beginning with the one that the answer begins with. True if that changed something.
bool set_families(Endpoint& endpoint, const std::vector<Address>& addresses) {
  if (addresses.empty()) return false;
  const Endpoint::Addresses now = endpoint.addresses();
  const int preferred = addresses.front().family();
  return endpoint.set_addresses(of_family(addresses, preferred, now),
                                of_family(addresses, preferred == AF_INET6 ? AF_INET : AF_INET6, now));
}

// Another server takes the place: what was known of the one before does not count for it.
void forget(Endpoint& place, uint64_t now_ms) { place.health.forget_checks(now_ms); }

void vacate(Endpoint& place, uint64_t now_ms) {
  place.set_target({});
  place.set_address({});
  forget(place, now_ms);
}

// Where servers that come may stand: in places that are free, then in place of servers that leave. Those are let go of
// last, so that there is a server at any time.
class Room {
 public:
  // In the order of preference; stale: has one that leaves.
  void add(const std::shared_ptr<Endpoint>& place, bool stale) { (stale ? stale_ : free_).push_back(place.get()); }
  Endpoint* take() {
    std::vector<Endpoint*>& from = free_.empty() ? stale_ : free_;
    if (from.empty()) return nullptr;
    Endpoint* place = from.front();
    from.erase(from.begin());
    return place;
  }
  void vacate_rest(uint64_t now_ms) {
    for (Endpoint* place : stale_) vacate(*place, now_ms);
  }

 private:
  std::vector<Endpoint*> free_, stale_;
};

}  // namespace

uint32_t weight_of_record(uint16_t weight, uint16_t highest) noexcept {
  constexpr uint32_t kMost = 256;
  const uint32_t scaled = highest <= kMost ? weight : uint32_t{weight} * kMost / highest;
  return std::max(1u, scaled);
}

NameGroup::Change NameGroup::apply(const Resolved& answer, uint64_t now_ms) {
  Change change;
  Places places;
  answered_ = true;
  for (const auto& weak : endpoints_)
    if (auto endpoint = weak.lock()) places.push_back(std::move(endpoint));
  if (places.empty()) return change;
  if (places.front()->place() == Endpoint::kNoPlace) {
    apply_first(*places.front(), answer, change);
  } else if (places.front()->resolve() == config::Resolve::srv) {
    apply_srv(places, answer, now_ms, change);
  } else {
    apply_all(places, answer, now_ms, change);
  }
  return change;
}

void NameGroup::apply_first(Endpoint& endpoint, const Resolved& answer, Change& change) {
  std::vector<Address> addresses;
  for (const Address& address : answer.addresses) addresses.push_back(address.with_port(endpoint.port()));
  const Address before = endpoint.address();
  if (!set_families(endpoint, addresses)) return;
  const Address after = endpoint.address();
  if (before == after) return;
  change.came.push_back(after.text());
  if (!before.empty()) change.left.push_back(before.text());
}

void NameGroup::apply_all(const Places& places, const Resolved& answer, uint64_t now_ms, Change& change) {
  std::vector<Address> wanted;
  for (const Address& address : answer.addresses) wanted.push_back(address.with_port(places.front()->port()));
  std::vector<Address> placed;
  Room room;
  for (const auto& place : places) {
    const Address address = place->address();
    if (!address.empty() && holds(wanted, address) && !holds(placed, address)) {
      placed.push_back(address);
      continue;
    }
    if (!address.empty()) change.left.push_back(address.text());
    room.add(place, !address.empty());
  }
  for (const Address& address : wanted) {
    if (holds(placed, address)) continue;
    Endpoint* place = room.take();
    if (place == nullptr) {
      ++change.turned_away;
      continue;
    }
    forget(*place, now_ms);
    place->set_address(address);
    change.came.push_back(address.text());
  }
  room.vacate_rest(now_ms);
}

void NameGroup::apply_srv(const Places& places, const Resolved& answer, uint64_t now_ms, Change& change) {
  const auto name_of = [](const SrvTarget& target) { return format("{}:{}", target.host, target.port); };
  Room room;
  std::map<std::string, Endpoint*> placed;
  for (const auto& place : places) {
    const std::string& held = place->target();
    const bool stays = std::any_of(answer.targets.begin(), answer.targets.end(),
                                   [&](const SrvTarget& target) { return name_of(target) == held; });
    if (stays && placed.emplace(held, place.get()).second) continue;
    if (!held.empty()) change.left.push_back(held);
    room.add(place, !held.empty());
  }
  // They come by priority: the first has the lowest number of all.
  const uint16_t lowest = answer.targets.empty() ? uint16_t{0} : answer.targets.front().priority;
  for (const SrvTarget& target : answer.targets) {
    const std::string name = name_of(target);
    auto known = placed.find(name);
    Endpoint* place = known != placed.end() ? known->second : nullptr;
    if (place == nullptr) {
      if (target.addresses.empty()) continue;  // not known yet where it is
      place = room.take();
      if (place == nullptr) {
        ++change.turned_away;
        continue;
      }
      forget(*place, now_ms);
      place->set_target(name);
      change.came.push_back(name);
    }
    uint16_t highest = 0;
    for (const SrvTarget& other : answer.targets)
      if (other.priority == target.priority) highest = std::max(highest, other.weight);
    // Before the address, which is what makes it usable.
    place->set_weight(place->written_weight() == 0 ? 0 : weight_of_record(target.weight, highest));
    place->set_backup(place->written_backup() || target.priority != lowest);
    set_families(*place, target.addresses);
  }
  room.vacate_rest(now_ms);
}

}  // namespace sallyport
