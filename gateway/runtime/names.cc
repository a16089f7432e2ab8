#include "runtime/names.h"

#include <algorithm>

#include "base/log.h"

namespace sallyport {
namespace {

// getaddrinfo tells no TTL: a name is looked up again after this many ms, sooner while it fails.
constexpr uint64_t kAgain = 5'000;
constexpr uint64_t kAgainFailing = 2'000;
constexpr uint64_t kLeastBetween = 1'000;

}  // namespace

void Names::follow(const Snapshot& snapshot) {
  std::map<std::string, Name> wanted;
  for (const auto& service : snapshot.services) {
    if (!service->upstream) continue;
    for (const auto& endpoint : service->upstream->endpoints)
      if (!endpoint->host().empty()) wanted[endpoint->host()].endpoints.push_back(endpoint);
  }
  for (auto& [host, name] : wanted)
    if (auto it = names_.find(host); it != names_.end()) {
      name.busy = it->second.busy;
      name.failing = it->second.failing;
      name.asked = it->second.asked;
    }
  names_ = std::move(wanted);
  for (auto& [host, name] : names_) look_up(host, name);
  schedule();
}

void Names::look_again(const std::string& host) {
  auto it = names_.find(host);
  if (it == names_.end()) return;
  it->second.due = std::min(it->second.due, std::max(loop_.now(), it->second.asked + kLeastBetween));
  schedule();
}

void Names::look_up(const std::string& host, Name& name) {
  if (name.busy) return;
  name.busy = true;
  name.asked = loop_.now();
  ++pending_;
  resolver_.resolve(host, 0, [this, host](Result<std::vector<Address>> answer) { answered(host, std::move(answer)); });
}

void Names::answered(const std::string& host, Result<std::vector<Address>> answer) {
  --pending_;
  auto it = names_.find(host);
  if (it == names_.end()) return;
  Name& name = it->second;
  name.busy = false;
  name.due = loop_.now() + (answer ? kAgain : kAgainFailing);
  if (!answer) {
    // The last good answer stays: a DNS server that is down changes nothing.
    if (!name.failing) log::warn("{}", answer.error().text());
    name.failing = true;
  } else {
    if (name.failing) log::info("{} resolves again", host);
    name.failing = false;
    for (const auto& weak : name.endpoints) {
      auto endpoint = weak.lock();
      if (!endpoint) continue;
      Address current = endpoint->address();
      bool still = std::any_of(answer->begin(), answer->end(),
                               [&](const Address& address) { return address.with_port(endpoint->port()) == current; });
      if (still) continue;  // answers in another order are no change
      Address fresh = answer->front().with_port(endpoint->port());
      if (endpoint->set_address(fresh) && !current.empty())
        log::info("{} is at {} now", endpoint->label(), fresh.text());
    }
  }
  schedule();
}

void Names::schedule() {
  uint64_t soonest = UINT64_MAX;
  for (const auto& [host, name] : names_)
    if (!name.busy) soonest = std::min(soonest, name.due);
  if (soonest == UINT64_MAX) return;
  uint64_t now = loop_.now();
  deadline_.disarm();
  static_cast<ListHook<Deadline>&>(deadline_).unlink();
  loop_.arm(deadline_, std::chrono::milliseconds(soonest > now ? soonest - now : 1));
}

void Names::on_deadline(Deadline&) {
  uint64_t now = loop_.now();
  for (auto& [host, name] : names_)
    if (!name.busy && name.due <= now) look_up(host, name);
  schedule();
}

}  // namespace sallyport
