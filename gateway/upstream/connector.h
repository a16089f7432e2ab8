// Gets a connection to a server of an upstream: a pooled one, or a new one with its PROXY header and TLS handshake,
// trying other servers when one does not answer.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "transport/transport.h"
#include "upstream/worker_upstream.h"

namespace sallyport {

// Counts as load of its endpoint while it lives.
class LoadTicket {
 public:
  LoadTicket() noexcept = default;
  explicit LoadTicket(std::shared_ptr<Endpoint> endpoint) noexcept : endpoint_(std::move(endpoint)) {
    endpoint_->load.fetch_add(1, std::memory_order_relaxed);
  }
  LoadTicket(LoadTicket&& other) noexcept = default;
  LoadTicket& operator=(LoadTicket&& other) noexcept {
    release();
    endpoint_ = std::move(other.endpoint_);
    return *this;
  }
  ~LoadTicket() { release(); }
  const Endpoint* endpoint() const noexcept { return endpoint_.get(); }

 private:
  void release() noexcept {
    if (endpoint_) endpoint_->load.fetch_sub(1, std::memory_order_relaxed);
    endpoint_.reset();
  }
  std::shared_ptr<Endpoint> endpoint_;
};

struct ServerConnection {
  TransportPtr transport;
  LoadTicket load;
  size_t endpoint = 0;      // index in the upstream
  uint32_t generation = 0;  // the endpoint's when it was connected
  bool reused = false;
  uint32_t connect_ms = 0;
};

struct ConnectOptions {
  uint64_t client_key = 0;        // stable_hash of the client's address
  std::string_view host;          // the client's host: name for TLS where none is configured
  std::string_view proxy_header;  // sent first, before TLS
  bool pooled = false;            // a connection from the pool will do
  bool only_fresh = false;        // with pooled: not this time (a retry after a stale one)
  bool must_be_alive = false;     // with pooled: look at the socket first, for what cannot be sent twice
};

// Owned by a flow; one attempt to get a connection at a time. Destroying it cancels.
class Connector final : public IoHandler, private Deadline::Owner {
 public:
  class Owner {
   public:
    // Called once for each start() that returned nothing. May destroy the connector.
    virtual void on_connected(Result<ServerConnection> connection) = 0;

   protected:
    ~Owner() = default;
  };

  explicit Connector(Owner& owner) noexcept : owner_(owner), deadline_(*this) {}

  // The outcome, if it is known at once; otherwise the owner is called. Side::upstream in every error;
  // Kind::unavailable when there is no server to try.
  std::optional<Result<ServerConnection>> start(WorkerUpstream& upstream, const ConnectOptions& options);
  void cancel() noexcept;
  bool busy() const noexcept { return transport_ != nullptr; }
  // The key a connection of this upstream is pooled under, for a request to this host.
  static std::string_view pool_key(const Upstream& upstream, const Endpoint& endpoint, std::string_view host) noexcept;

 private:
  enum class Progress : uint8_t { waiting, connected, failed };
  void on_io() override;
  void on_deadline(Deadline& which) override;
  std::optional<Result<ServerConnection>> try_servers();
  Progress begin(size_t index);
  Progress advance();
  Progress start_tls();
  void attempt_failed();
  ServerConnection take_connection();
  void report(Result<ServerConnection> outcome);

  Owner& owner_;
  Deadline deadline_;
  WorkerUpstream* upstream_ = nullptr;
  uint64_t client_key_ = 0;
  std::string host_;
  std::string proxy_header_;
  bool pooled_ = false;
  bool must_be_alive_ = false;
  Tried tried_ = 0;
  int attempts_ = 0;
  size_t index_ = 0;
  uint32_t generation_ = 0;
  bool tcp_done_ = false;
  uint64_t started_us_ = 0;
  LoadTicket load_;
  TransportPtr transport_;
  Error error_;
};

}  // namespace sallyport
