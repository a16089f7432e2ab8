// One check of one server: connect, the PROXY header and TLS as its service does, the dialog, an orderly end.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "net/loop.h"
#include "transport/transport.h"
#include "transport/upstream_sessions.h"
#include "upstream/endpoint.h"
#include "upstream/health_dialog.h"
#include "upstream/protocol_hint.h"
#include "upstream/upstream.h"

namespace sallyport {

// What the checks of one service go by: a copy, so that a check may outlive the snapshot it was begun under.
struct HealthPlan {
  explicit HealthPlan(const Upstream& upstream);
  std::string service;
  config::Health rules;
  ServerSide side;
  config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
  SslCtxPtr tls;         // null: in the clear
  std::string tls_name;  // server_tls.name
};

// Owned by whoever schedules; on one thread. Tells its outcome once; then it still closes its connection for up to a
// second. Destroying it closes at once.
class HealthCheck final : public IoHandler, private Deadline::Owner {
 public:
  struct Outcome {
    bool passed = false;
    std::string reason;      // of a failure
    bool connected = false;  // the server took the connection
    uint64_t took_us = 0;
  };
  class Owner {
   public:
    // Once, unless start() told; may destroy the check.
    virtual void on_checked(Outcome outcome) = 0;

   protected:
    ~Owner() = default;
  };

  HealthCheck(IoContext& io, Owner& owner, std::shared_ptr<const HealthPlan> plan, std::shared_ptr<Endpoint> endpoint);
  // The outcome, if it is known at once.
  std::optional<Outcome> start();

 private:
  enum class Phase : uint8_t { connecting, handshake, talking, closing };
  void on_io() override;
  void on_deadline(Deadline& which) override;
  std::optional<Outcome> connect();
  std::optional<Outcome> not_connected(std::string reason);
  std::optional<Outcome> advance();
  std::optional<Outcome> connected();
  std::optional<Outcome> shake_hands();
  std::optional<Outcome> talk(HealthDialog::Verdict verdict);
  std::chrono::milliseconds time_left() const noexcept;
  Outcome finish(bool passed, std::string reason);
  Outcome broken(const Error& error);
  void drain();
  void hang_up();
  std::string name() const;  // for SNI and verification
  std::string host() const;  // for Host

  IoContext& io_;
  Owner& owner_;
  std::shared_ptr<const HealthPlan> plan_;
  std::shared_ptr<Endpoint> endpoint_;
  UpstreamSessions sessions_{1};  // never resumed: each check verifies the certificate anew
  TransportPtr transport_;
  ServerSlot slot_;    // of a server with max_connections: the check counts among its connections
  bool bare_ = false;  // it has all that it may have: that it takes one more is enough, and nothing is said on it
  std::unique_ptr<HealthDialog> dialog_;
  Deadline deadline_{*this};
  Address address_;
  Address other_;  // of the other family: if the first cannot be reached
  uint64_t started_us_ = 0;
  size_t dropped_ = 0;
  Phase phase_ = Phase::connecting;
};

}  // namespace sallyport
