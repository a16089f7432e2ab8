// One server of a service. Shared by the snapshot, the workers and the resolver: what changes is an atomic, or behind a
// lock that is taken once a connection.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/address.h"
#include "config/model.h"
#include "metrics/service_stats.h"
#include "upstream/endpoint_health.h"

namespace sallyport {

class ServerQueue;

// What the operator has said of a server.
enum class AdminState : uint8_t {
  enabled,
  draining,  // no new clients, but those that stick to it
  disabled,  // no clients; what is open goes on
};
const char* name_of(AdminState state) noexcept;

class Endpoint {
 public:
  static constexpr int kNoPlace = -1;

  // default_port: for servers written without one (ssh and tcp: the listener's). place: from 0, of one of the servers
  // that a name stands for; it has no address while the name stands for fewer.
  Endpoint(const config::Server& server, uint16_t default_port, config::Resolve resolve = config::Resolve::first,
           int place = kNoPlace);

  // As the user named it; what was written, where it has no name of its own.
  const std::string& name() const noexcept { return name_; }
  // For logs: as the user wrote it; of a place, with the address that it has at the moment.
  std::string label() const;
  // The same into a string that has room for it: for what is told of each request.
  void write_label(std::string& out) const;
  // The same whatever the address is: what a reload knows it by.
  const std::string& key() const noexcept { return key_; }
  const std::string& host() const noexcept { return host_; }  // what to resolve; empty when the address is fixed
  config::Resolve resolve() const noexcept { return resolve_; }
  int place() const noexcept { return place_; }
  // What TLS verifies where nothing else is known: the host; of SRV records the name they were asked of, without its
  // labels of service and protocol (RFC 6125 section 6.2.1: what a user wrote, never what DNS made of it).
  const std::string& tls_name() const noexcept { return tls_name_; }
  uint16_t port() const noexcept { return port_; }  // 0: the SRV record's
  // Of the name, and of a place its number: the same for good.
  uint64_t identity() const noexcept { return identity_; }
  // Where hashes put it, and what sticky tables hold: of the name, and of a place its address or target, so that
  // clients keep that wherever it stands.
  uint64_t hash() const noexcept { return hash_.load(std::memory_order_relaxed); }

  uint32_t weight() const noexcept {
    const uint32_t told = told_weight_.load(std::memory_order_relaxed);
    return told != kNotTold ? told : weight_.load(std::memory_order_relaxed);
  }
  void set_weight(uint32_t weight) noexcept { weight_.store(weight, std::memory_order_relaxed); }
  uint32_t written_weight() const noexcept { return written_weight_.load(std::memory_order_relaxed); }
  // The operator's weight goes before the written one, and before an SRV record's. Any thread.
  static constexpr uint32_t kMostWeight = 256;
  void tell_weight(uint32_t weight) noexcept { told_weight_.store(weight, std::memory_order_relaxed); }
  void forget_told_weight() noexcept { told_weight_.store(kNotTold, std::memory_order_relaxed); }

  AdminState admin() const noexcept { return admin_.load(std::memory_order_relaxed); }
  void set_admin(AdminState state) noexcept { admin_.store(state, std::memory_order_relaxed); }
  // Only when no other is usable.
  bool backup() const noexcept { return backup_.load(std::memory_order_relaxed); }
  void set_backup(bool backup) noexcept { backup_.store(backup, std::memory_order_relaxed); }
  bool written_backup() const noexcept { return written_backup_.load(std::memory_order_relaxed); }
  uint32_t max_connections() const noexcept { return max_connections_.load(std::memory_order_relaxed); }  // 0: no limit

  // Whether this is what the file calls by the same name still, so that what is known of it holds, whatever weight,
  // backup and limit say now. With a limit or without are two things: only with one are connections counted.
  bool stands_for(const Endpoint& fresh) const noexcept;
  // Takes those over. What an operator said of its weight is forgotten if the written one is another now. Any thread.
  struct Written {
    uint32_t weight = 1;
    bool backup = false;
    uint32_t max_connections = 0;
    friend bool operator==(const Written&, const Written&) = default;
  };
  Written written() const noexcept { return {written_weight(), written_backup(), max_connections()}; }
  void rewrite(const Written& now) noexcept;


  // Empty while the name has not been resolved. The one to begin with, where there are two.
  Address address() const;
  bool has_address() const noexcept { return has_address_.load(std::memory_order_relaxed); }
  // A name with IPv6 and IPv4 may have one address of each, and be reachable at one of them only.
  bool has_two() const noexcept { return has_two_.load(std::memory_order_relaxed); }
  struct Addresses {
    Address first, second;  // second: of the other family, or empty
  };
  Addresses addresses() const;
  // True if they differ from those before. Once one has gone, connections made until now are not used again.
  bool set_addresses(const Address& first, const Address& second);
  bool set_address(const Address& address) { return set_addresses(address, {}); }
  // This address was of no use, or slower than the other: the other is the first from now on.
  void begin_with_other(const Address& than);
  uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

  // Of SRV: "host:port" of the record that stands here, set before its addresses. Empty: none. For the control thread.
  const std::string& target() const noexcept { return target_; }
  void set_target(std::string target);

  EndpointHealth health;

  // Connections and requests in flight, over all workers: what least-connections compares.
  std::atomic<uint32_t> load{0};
  std::atomic<uint64_t> connect_failures{0};
  ServerStats stats;

  std::atomic<bool> hinted{false};  // the log has said that it is spoken to in the wrong way

  // Of max_connections, over all workers; counted by ServerSlot.
  std::atomic<uint32_t> slots_taken{0};
  bool full() const noexcept {
    const uint32_t most = max_connections();
    return most != 0 && slots_taken.load(std::memory_order_relaxed) >= most;
  }
  // Of the service, where any of its servers has a limit; set before the endpoint is shared.
  std::shared_ptr<ServerQueue> queue;

 private:
  const std::string text_;  // as the user wrote it
  const std::string key_;
  const std::string name_;
  std::string host_;
  std::string tls_name_;
  const config::Resolve resolve_;
  const int place_;
  const uint16_t port_;
  std::atomic<uint32_t> written_weight_;
  std::atomic<bool> written_backup_;
  static constexpr uint32_t kNotTold = UINT32_MAX;
  std::atomic<uint32_t> weight_;
  std::atomic<uint32_t> told_weight_{kNotTold};
  std::atomic<AdminState> admin_{AdminState::enabled};
  std::atomic<bool> backup_;
  std::atomic<uint32_t> max_connections_;
  const uint64_t identity_;
  std::atomic<uint64_t> hash_;
  std::atomic<bool> has_address_{false};
  std::atomic<bool> has_two_{false};
  mutable std::mutex mutex_;
  Address address_;
  Address other_;
  std::string label_;  // of a place that has an address
  std::atomic<uint32_t> generation_{0};
  std::string target_;
};

// FNV-1a with a final mix: spreads short keys. Stable across runs, so that a client keeps its server.
uint64_t stable_hash(std::string_view bytes, uint64_t seed = 0) noexcept;

}  // namespace sallyport
