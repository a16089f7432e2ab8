#include "runtime/names.h"

#include <algorithm>

#include "base/format.h"
#include "base/log.h"
#include "base/text.h"

namespace sallyport {
namespace {

// An answer is looked up again when its TTL is over, within these bounds; sooner while that fails. ms.
constexpr int64_t kLeastTtl = 1'000;
constexpr int64_t kMostTtl = 30'000;
constexpr uint64_t kAgainFailing = 2'000;
constexpr uint64_t kLeastBetween = 1'000;

uint64_t time_of(std::chrono::seconds ttl) noexcept {
  // Seconds first: a TTL may be as large as DNS likes.
  return static_cast<uint64_t>(
      std::clamp<int64_t>(std::min<int64_t>(ttl.count(), kMostTtl) * 1000, kLeastTtl, kMostTtl));
}

// Empty where there is nothing to tell.
std::string text_of(const NameGroup::Change& change) {
  if (!change.any()) return {};
  if (change.left.empty()) return format("is at {} as well now", joined(change.came));
  if (change.came.empty()) return format("is no longer at {}", joined(change.left));
  return format("is at {} now, no longer at {}", joined(change.came), joined(change.left));
}

}  // namespace

void Names::follow(const Snapshot& snapshot) {
  std::map<Key, Name> wanted;
  for (const auto& service : snapshot.services) {
    if (!service->upstream) continue;
    const auto& endpoints = service->upstream->endpoints;
    for (size_t i = 0; i < endpoints.size();) {
      const Endpoint& first = *endpoints[i];
      std::vector<std::weak_ptr<Endpoint>> group{endpoints[i++]};
      // The places of one name stand side by side.
      while (first.place() == 0 && i < endpoints.size() && endpoints[i]->place() > 0) group.push_back(endpoints[i++]);
      if (!first.host().empty())
        wanted[key_of(first.host(), first.resolve())].groups.push_back(NameGroup(std::move(group)));
    }
  }
  for (auto& [key, name] : wanted)
    if (auto it = names_.find(key); it != names_.end()) {
      name.last = std::move(it->second.last);
      name.busy = it->second.busy;
      name.failing = it->second.failing;
      name.crowded = it->second.crowded;
      name.asked = it->second.asked;
      name.due = it->second.due;
    }
  names_ = std::move(wanted);
  for (auto& [key, name] : names_) {
    if (name.last) apply(key.second, name);
    if (name.asked == 0) look_up(key, name);
  }
  schedule();
}

size_t Names::awaited() const noexcept {
  size_t out = 0;
  for (const auto& [key, name] : names_)
    if (name.busy && !name.last && !name.failing) ++out;
  return out;
}

void Names::look_again(const std::string& host) {
  for (bool records : {false, true}) {
    auto it = names_.find({records, host});
    if (it == names_.end()) continue;
    it->second.due = std::min(it->second.due, std::max(loop_.now(), it->second.asked + kLeastBetween));
  }
  schedule();
}

void Names::look_up(const Key& key, Name& name) {
  if (name.busy) return;
  name.busy = true;
  name.asked = loop_.now();
  ++pending_;
  auto answer = [this, key](Result<Resolved> found) { answered(key, std::move(found)); };
  if (key.first) {
    resolver_.resolve_srv(key.second, std::move(answer));
  } else {
    resolver_.resolve(key.second, 0, std::move(answer));
  }
}

void Names::answered(const Key& key, Result<Resolved> answer) {
  --pending_;
  auto it = names_.find(key);
  if (it == names_.end()) return;
  Name& name = it->second;
  name.busy = false;
  name.due = loop_.now() + (answer ? time_of(answer->ttl) : kAgainFailing);
  if (answer) {
    if (name.failing) log::info("{} resolves again", key.second);
    name.failing = false;
    name.last = std::move(*answer);
    apply(key.second, name);
  } else {
    // The last good answer stays, whether DNS is down or says that there is no such name any more.
    if (!name.failing) log::warn("{}{}", answer.error().text(), name.last ? "; its last addresses stay in use" : "");
    name.failing = true;
  }
  schedule();
}

void Names::apply(const std::string& host, Name& name) {
  size_t turned_away = 0;
  std::string told;  // what concerns several services is told once
  for (NameGroup& group : name.groups) {
    const bool first_answer = !group.answered();
    const NameGroup::Change change = group.apply(*name.last, loop_.now());
    turned_away = std::max(turned_away, change.turned_away);
    std::string text = text_of(change);
    if ((first_answer && change.left.empty()) || text.empty() || text == told) continue;
    log::info("{} {}", host, text);
    told = std::move(text);
  }
  if (turned_away > 0 && !name.crowded)
    log::warn("{} stands for more servers than there is room for: {} of them are not used", host, turned_away);
  name.crowded = turned_away > 0;
}

void Names::schedule() {
  uint64_t soonest = UINT64_MAX;
  for (const auto& [key, name] : names_)
    if (!name.busy) soonest = std::min(soonest, name.due);
  if (soonest == UINT64_MAX) return;
  uint64_t now = loop_.now();
  deadline_.disarm();
  static_cast<ListHook<Deadline>&>(deadline_).unlink();
  loop_.arm(deadline_, std::chrono::milliseconds(soonest > now ? soonest - now : 1));
}

void Names::on_deadline(Deadline&) {
  uint64_t now = loop_.now();
  for (auto& [key, name] : names_)
    if (!name.busy && name.due <= now) look_up(key, name);
  schedule();
}

}  // namespace sallyport
