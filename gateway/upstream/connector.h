// Gets a connection to a server of an upstream: a pooled one, or a new one with its PROXY header and TLS handshake,
// trying other servers when one does not answer.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "transport/transport.h"
#include "upstream/gate.h"
#include "upstream/h2_pool.h"
#include "upstream/happy_eyeballs.h"
#include "upstream/server_queue.h"
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
  TransportPtr transport;      // null with h2
  H2Connection* h2 = nullptr;  // the request becomes a stream of it: to be opened at once, for it is the pool's
  LoadTicket load;
  Gate::Seat seat;          // of pooled HTTP/1.1 connections
  ServerSlot slot;          // of a server with max_connections
  size_t endpoint = 0;      // index in the upstream
  uint32_t generation = 0;  // the endpoint's when it was connected
  bool reused = false;
  uint32_t connect_ms = 0;
  uint64_t connect_us = 0;  // of the attempt that came about, alone; 0 when it is reused
};

struct ConnectOptions {
  uint64_t key = 0;                 // stable_hash of what balance: source-hash or uri-hash goes by
  const Address* client = nullptr;  // for sticky by source, and transparent; must outlive the attempt
  int preferred = -1;               // the server that the client's cookie names
  std::string_view host;          // the client's host: name for TLS where none is configured
  std::string_view proxy_header;  // sent first, before TLS
  bool pooled = false;            // a connection from the pool will do
  bool only_fresh = false;        // with pooled: not this time (a retry after a stale one)
  Tried avoid = 0;                // servers that have refused this request: only if there is no other
  bool http = false;  // an HTTP request: may become a stream of an HTTP/2 connection, where the server speaks it
  bool tunnel =
      false;  // with http: for a WebSocket and its like. A connection of its own, unless one over HTTP/2 takes it
  bool only_http1 = false;     // with http: but not this one, if the upstream leaves a choice
  bool must_be_alive = false;  // with pooled: look at the socket first, for what cannot be sent twice
};

// Owned by a flow; one attempt to get a connection at a time. Destroying it cancels.
class Connector final : public IoHandler,
                        public Recycled,
                        private Deadline::Owner,
                        private H2Waiter,
                        private Gate::Waiter,
                        private SlotWaiter,
                        private HappyEyeballs::Owner,
                        private Runnable {
 public:
  class Owner {
   public:
    // Called once for each start() that returned null. May destroy the connector, and the outcome with it.
    virtual void on_connected(Result<ServerConnection>& outcome) = 0;

   protected:
    ~Owner() = default;
  };

  explicit Connector(Owner& owner) noexcept : owner_(owner), deadline_(*this) {}
  ~Connector() { cancel(); }

  // The outcome, if it is known at once; null: the owner is called. It is the connector's own, to be moved from, until
  // that is used again. Side::upstream in every error; Kind::unavailable when there is no server to try.
  Result<ServerConnection>* start(WorkerUpstream& upstream, const ConnectOptions& options);
  void cancel() noexcept;
  bool busy() const noexcept { return transport_ != nullptr || race_ != nullptr; }
  // The key a connection of this upstream is pooled under, for a request to this host.
  static std::string_view pool_key(const Upstream& upstream, const Endpoint& endpoint, std::string_view host) noexcept;

 private:
  using Outcome = Result<ServerConnection>;
  enum class Progress : uint8_t { waiting, connected, failed };
  void on_io() override;
  void on_deadline(Deadline& which) override;
  void on_dialed(const Error* error) override;
  void on_seat(Gate::Seat seat) override;
  void on_slot(ServerSlot slot, HandedOver connection) override;
  void on_run() override;
  void on_raced(Result<TransportPtr> winner) override;
  bool may_be_h2() const noexcept;
  enum class Where : uint8_t {
    found,    // a connection that is there already
    waiting,  // for a connection to come free, or for a dial
    connect,  // there is none
    busy,     // there is none, and the server has all it may have
  };
  Where find_connection();
  Balancer::Choice choose();
  void set_server(size_t index);
  Outcome* wait_in_queue(int index);
  void on_queue_deadline();
  // What came with the slot that was waited for: true if it is the outcome.
  bool take_handed();
  Outcome* go_on();
  // What has come of it, to be filled: a connection, or error_.
  ServerConnection& connected() { return *outcome_.emplace(std::in_place); }
  Outcome* failed() { return &outcome_.emplace(error_); }
  // A connection is there: what follows from that for the client and the server.
  void settle(ServerConnection& connection);
  Error no_server() const;
  ServerCounters& counters() const;
  void end_dial(const Error* error);
  Outcome* try_servers();
  Progress begin(size_t index);
  Progress begin_race(const Endpoint& endpoint);
  Progress take_winner(Result<TransportPtr> winner);
  void adopt(TransportPtr transport);
  Progress advance();
  void went(Progress progress);
  Progress start_tls();
  void attempt_failed();
  // Connected: what ALPN has chosen decides what it is. False: not what was asked for; error_ is set.
  bool take_connection();
  void report(Outcome& outcome) { owner_.on_connected(outcome); }

  Owner& owner_;
  Deadline deadline_;
  bool used_ = false;  // since the last cancel(): there may be something to give back
  WorkerUpstream* upstream_ = nullptr;
  uint64_t key_hash_ = 0;
  const Address* client_ = nullptr;
  int preferred_ = -1;
  uint64_t stuck_to_ = 0;  // what the sticky table says
  ServerSlot slot_;
  HandedOver handed_;
  uint64_t queued_ms_ = 0;
  int queued_for_ = -1;
  std::string host_;
  std::string proxy_header_;
  bool pooled_ = false;
  bool must_be_alive_ = false;
  bool http_ = false;
  bool tunnel_ = false;
  bool only_http1_ = false;
  Gate::Seat seat_;
  bool dial_failed_ = false;      // the one that was waited for: error_ tells
  std::string key_;               // of the H2Pool
  std::unique_ptr<H2Dial> dial_;  // others may be waiting for this attempt
  Tried tried_ = 0;
  int attempts_ = 0;
  size_t index_ = 0;
  uint32_t generation_ = 0;
  bool tcp_done_ = false;
  uint64_t started_us_ = 0;
  uint64_t attempt_us_ = 0;  // when this attempt began
  LoadTicket load_;
  TransportPtr transport_;
  std::unique_ptr<HappyEyeballs> race_;  // of a server with two addresses, until one of them is connected
  Error error_;
  std::optional<Outcome> outcome_;
};

}  // namespace sallyport
