// Carries bytes between a client and a server of one service until both are done: passthrough, ssh, tcp, and what is
// left of a connection when TLS has been taken off it (protocol: tcp).
#pragma once
#include <memory>

#include "layers/counting.h"
#include "layers/forward/tunnel.h"
#include "layers/layer.h"
#include "layers/service.h"
#include "upstream/connector.h"

namespace sallyport {

class RelayFlow final : public Flow, private Connector::Owner, private Tunnel::Owner {
 public:
  RelayFlow(Client& client, const Service& service, const ClientHello* hello);

  void start() override;
  void drain() override {}  // a relay cannot tell a good moment to end: it runs until the drain time is over
  void abort(End why) override;
  void describe(SessionInfo& info) const override;
  void server_down(const Endpoint& endpoint) override;
  void on_io() override;
  bool may_follow() const noexcept override { return true; }
  void end_what_is_gone(uint64_t since_ms) override;

 private:
  void on_connected(Result<ServerConnection>& outcome) override;
  void on_tunnel_over(End end, std::string_view reason) override { finish(end, reason); }
  void on_tunnel_moved() override;
  void finish(End end, std::string_view reason = {});
  void count_end(End end, uint64_t total_us);

  ServiceUse service_;
  std::string proxy_header_;
  std::unique_ptr<Connector> connector_;  // until it has connected: a tunnel that lives for days needs none
  std::unique_ptr<Tunnel> tunnel_;  // once connected; it takes the client's events then
  CountedBytes counted_;
};

}  // namespace sallyport
