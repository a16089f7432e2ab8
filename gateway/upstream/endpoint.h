// One server of a service. Shared by the snapshot, the workers and the resolver: what changes is an atomic, or behind a
// lock that is taken once a connection.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/address.h"
#include "config/model.h"

namespace sallyport {

class Endpoint {
 public:
  // default_port: for servers written without one (ssh and tcp: the listener's).
  Endpoint(const config::Server& server, uint16_t default_port);

  const std::string& label() const noexcept { return label_; }  // as the user wrote it: for logs
  const std::string& host() const noexcept { return host_; }    // what to resolve; empty when the address is fixed
  uint16_t port() const noexcept { return port_; }
  uint32_t weight() const noexcept { return weight_; }
  uint64_t hash() const noexcept { return hash_; }  // of the label: where source-hash puts it

  // Empty while the name has not been resolved.
  Address address() const;
  // True if it differs from the one before: connections to the old one are not used again.
  bool set_address(const Address& address);
  uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

  // Connections and requests in flight, over all workers: what least-connections compares.
  std::atomic<uint32_t> load{0};
  std::atomic<uint64_t> connect_failures{0};

 private:
  std::string label_;
  std::string host_;
  uint16_t port_;
  uint32_t weight_;
  uint64_t hash_;
  mutable std::mutex mutex_;
  Address address_;
  std::atomic<uint32_t> generation_{0};
};

// FNV-1a with a final mix: spreads short keys. Stable across runs, so that a client keeps its server.
uint64_t stable_hash(std::string_view bytes, uint64_t seed = 0) noexcept;

}  // namespace sallyport
