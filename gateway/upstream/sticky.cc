#include "upstream/sticky.h"

#include <algorithm>

#include "upstream/endpoint.h"

namespace sallyport {
namespace {

constexpr size_t kShards = 16;
constexpr uint32_t kSmall = 1024;  // so few are kept in one order: which is the oldest is exact then

}  // namespace

StickyTable::StickyTable(const config::Sticky& rules)
    : rules_(rules),
      expire_ms_(static_cast<uint64_t>(rules.expire.count())),
      most_(rules.size <= kSmall ? rules.size : (rules.size + kShards - 1) / kShards),
      shards_(rules.size <= kSmall ? size_t{1} : kShards) {}

StickyTable::~StickyTable() = default;

bool StickyTable::fits(const config::Sticky& rules) const noexcept {
  return rules.by == rules_.by && rules.expire == rules_.expire && rules.size == rules_.size &&
         rules.ipv6_prefix == rules_.ipv6_prefix;
}

std::string StickyTable::key_of(const Address& client) const {
  std::string key(client.unmapped().ip_bytes());
  if (key.size() != 16) return key;
  for (size_t bit = rules_.ipv6_prefix; bit < 128;) {
    auto& byte = key[bit / 8];
    const auto keep = static_cast<unsigned>(bit % 8);
    byte = static_cast<char>(static_cast<unsigned char>(byte) & (0xff00U >> keep));
    bit += 8 - keep;
  }
  return key;
}

StickyTable::Shard& StickyTable::shard_of(std::string_view key) noexcept {
  return shards_.size() == 1 ? shards_.front() : shards_[stable_hash(key) % shards_.size()];
}

void StickyTable::forget(Shard& shard, Client& client) {
  const auto found = shard.clients.find(client.key);
  if (found == shard.clients.end()) return;
  const auto gone = std::move(found->second);  // the map's key is a view into it
  shard.clients.erase(found);
}

uint64_t StickyTable::find(const Address& address, uint64_t now_ms) {
  const std::string key = key_of(address);
  if (key.empty()) return 0;
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.clients.find(key);
  if (found == shard.clients.end()) return 0;
  Client& client = *found->second;
  if (expire_ms_ != 0 && now_ms > client.used_ms + expire_ms_) {
    forget(shard, client);
    return 0;
  }
  client.used_ms = now_ms;
  uses_.fetch_add(1, std::memory_order_relaxed);
  shard.by_use.push_back(client);
  return client.server;
}

void StickyTable::store(const Address& address, uint64_t server, uint64_t now_ms) {
  std::string key = key_of(address);
  if (!key.empty()) put(std::move(key), server, now_ms);
}

void StickyTable::put(std::string key, uint64_t server, uint64_t used_ms) {
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  auto found = shard.clients.find(key);
  if (found == shard.clients.end()) {
    while (shard.clients.size() >= most_) forget(shard, *shard.by_use.front());
    auto client = std::make_unique<Client>();
    client->key = std::move(key);
    const std::string_view view = client->key;
    found = shard.clients.emplace(view, std::move(client)).first;
  }
  Client& client = *found->second;
  client.server = server;
  client.used_ms = used_ms;
  uses_.fetch_add(1, std::memory_order_relaxed);
  shard.by_use.push_back(client);
}

size_t StickyTable::size() const {
  size_t count = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    count += shard.clients.size();
  }
  return count;
}

void StickyTable::clear() {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.clients.clear();
  }
  uses_.fetch_add(1, std::memory_order_relaxed);
}

bool StickyTable::remove(const Address& address) {
  const std::string key = key_of(address);
  if (key.empty()) return false;
  Shard& shard = shard_of(key);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.clients.find(key);
  if (found == shard.clients.end()) return false;
  forget(shard, *found->second);
  uses_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::vector<StickyTable::Entry> StickyTable::entries(uint64_t now_ms) const {
  std::vector<Entry> out;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (Client* client = shard.by_use.front(); client != nullptr; client = shard.by_use.next(*client)) {
      const uint64_t idle = now_ms > client->used_ms ? now_ms - client->used_ms : 0;
      if (expire_ms_ == 0 || idle <= expire_ms_) out.push_back({client->key, client->server, idle});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.idle_ms > b.idle_ms; });
  return out;
}

void StickyTable::restore(const Entry& entry, uint64_t now_ms) {
  if (entry.client.size() != 4 && entry.client.size() != 16) return;
  if (expire_ms_ != 0 && entry.idle_ms > expire_ms_) return;
  put(entry.client, entry.server, now_ms > entry.idle_ms ? now_ms - entry.idle_ms : 0);
}

}  // namespace sallyport
