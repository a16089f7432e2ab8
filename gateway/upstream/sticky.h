// Which server a client had, by its address: shared by all workers, bounded, the client that was not seen for longest
// makes room. Outlives a reload; runtime/state_file carries it over a restart. Any thread; a short lock a connection or
// request, of one shard.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/list.h"
#include "config/model.h"

namespace sallyport {

class StickyTable {
 public:
  explicit StickyTable(const config::Sticky& rules);
  ~StickyTable();
  StickyTable(const StickyTable&) = delete;
  StickyTable& operator=(const StickyTable&) = delete;

  bool fits(const config::Sticky& rules) const noexcept;  // a reload goes on with it
  // Endpoint::hash() of the client's server; 0: it has none, or was away for too long. Counts as use. Times are the
  // loops' clock.
  uint64_t find(const Address& client, uint64_t now_ms);
  void store(const Address& client, uint64_t server, uint64_t now_ms);
  size_t size() const;
  // Moves with every find() that finds, and with every change.
  uint64_t uses() const noexcept { return uses_.load(std::memory_order_relaxed); }
  void clear();
  // False: it was not there.
  bool remove(const Address& client);

  struct Entry {
    std::string client;  // 4 or 16 bytes, host bits off
    uint64_t server = 0;
    uint64_t idle_ms = 0;
  };
  // Least recently used first; restore() takes them in that order.
  std::vector<Entry> entries(uint64_t now_ms) const;
  void restore(const Entry& entry, uint64_t now_ms);

 private:
  struct Client : ListHook<Client> {
    std::string key;
    uint64_t server = 0;
    uint64_t used_ms = 0;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string_view, std::unique_ptr<Client>> clients;  // keys are views of the clients'
    mutable List<Client> by_use;                                           // oldest first
  };

  std::string key_of(const Address& client) const;
  Shard& shard_of(std::string_view key) noexcept;
  void put(std::string key, uint64_t server, uint64_t used_ms);
  static void forget(Shard& shard, Client& client);

  const config::Sticky rules_;
  const uint64_t expire_ms_;
  size_t most_;  // a shard
  std::vector<Shard> shards_;
  std::atomic<uint64_t> uses_{0};
};

}  // namespace sallyport
