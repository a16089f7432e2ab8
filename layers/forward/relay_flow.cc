#include "layers/forward/relay_flow.h"

#include "base/text.h"
#include "layers/forward/proxy_header_for.h"
#include "layers/policies/access.h"
#include "layers/rules.h"

namespace sallyport {

RelayFlow::RelayFlow(Client& client, const Service& service, const ClientHello* hello)
    : Flow(client), service_(client.use(service)), connector_(std::make_unique<Connector>(static_cast<Connector::Owner&>(*this))) {
  ProxyTlvs tlvs;
  if (client.tls) tlvs.ssl = true;
  if (hello != nullptr) tlvs.alpn = hello->offers_h2 ? "h2" : hello->offers_http1 ? "http/1.1" : "";
  tlvs.authority = client.sni;
  proxy_header_ = proxy_header_for(client, service, tlvs);
}

void RelayFlow::start() {
  client_.transport->set_handler(this);
  ServiceCounters& counters = service_->stats->of(client_.worker->number);
  counters.connections.add();
  counters.open.add();
  if (!admits(service_->config.access, client_.peer)) {
    client_.reject(Rejection::access);
    finish(End::denied);
    return;
  }
  ConnectOptions options;
  options.key = client_key(client_.peer);
  options.client = &client_.peer;
  options.host = client_.sni;
  options.proxy_header = proxy_header_;
  if (auto* outcome = connector_->start(service_.upstream(), options)) on_connected(*outcome);
}

void RelayFlow::on_connected(Result<ServerConnection>& outcome) {
  if (!outcome) {
    const Error error = std::move(outcome.error());
    // Nothing was forwarded: the client sees what it would have seen from a server that is not there.
    client_.transport->reset_on_close();
    if (error.kind == Kind::limit) client_.reject(Rejection::busy);
    End end = error.kind == Kind::unavailable ? End::no_server
              : error.kind == Kind::limit     ? End::limit
              : error.kind == Kind::timeout   ? End::server_timeout
              : error.kind == Kind::tls       ? End::server_error
                                              : End::server_refused;
    finish(end, error.text());
    return;
  }
  std::string().swap(proxy_header_);
  service_->stats->of(client_.worker->number).connect.observe_us(outcome->connect_us);
  tunnel_ = std::make_unique<Tunnel>(client_, std::move(*outcome), service_->config.timeouts.tunnel,
                                     static_cast<Tunnel::Owner&>(*this));
  connector_.reset();
  tunnel_->start();
}

// Still connecting: the client's bytes wait in its socket, but one that is gone frees the attempt.
void RelayFlow::on_io() {
  if (client_.transport->broken()) finish(End::client_cut);
}

void RelayFlow::abort(End why) {
  if (why == End::killed && tunnel_) tunnel_->server().transport->reset_on_close();
  finish(why);
}

void RelayFlow::describe(SessionInfo& info) const {
  using config::Mode;
  const Mode mode = service_->config.mode;
  info.protocol = mode == Mode::passthrough ? "tls" : mode == Mode::ssh ? "ssh" : "tcp";
  info.service = service_.get();
  info.state = tunnel_ ? "open" : "opening";
  if (!tunnel_) return;
  info.endpoint = tunnel_->server().load.endpoint();
  info.active_ms = tunnel_->last_moved_ms();
}

void RelayFlow::server_down(const Endpoint& endpoint) {
  if (!tunnel_ || tunnel_->server().load.endpoint() != &endpoint) return;
  client_.transport->reset_on_close();
  finish(End::server_cut, "the server is down");
}

void RelayFlow::end_what_is_gone(uint64_t since_ms) {
  const Endpoint* server = tunnel_ ? tunnel_->server().load.endpoint() : nullptr;
  if (service_.gone(server, client_.worker->io.loop.now(), since_ms)) finish(End::drain);
}

void RelayFlow::on_tunnel_moved() {
  counted_.count(client_, service_.get(), tunnel_->server().load.endpoint(), tunnel_->from_client(), tunnel_->from_server());
}

void RelayFlow::count_end(End end, uint64_t total_us) {
  ServiceCounters& counters = service_->stats->of(client_.worker->number);
  counters.open.subtract();
  counters.total.observe_us(total_us);
  if (!tunnel_) {
    const bool nobody_took_it = end == End::no_server || end == End::limit || end == End::server_timeout ||
                                end == End::server_error || end == End::server_refused;
    if (nobody_took_it) counters.errors.add();
    return;
  }
  on_tunnel_moved();
  if (tunnel_->first_byte_us() < 0) return;
  const auto first_byte = static_cast<uint64_t>(tunnel_->first_byte_us());
  counters.first_byte.observe_us(first_byte);
  tunnel_->server().load.endpoint()->stats.of(client_.worker->number).first_byte.observe_us(first_byte);
}

void RelayFlow::finish(End end, std::string_view reason) {
  if (connector_) connector_->cancel();  // what else is due in this turn must find nothing to do
  const uint64_t total_us = Loop::precise_now() - client_.accepted_us;
  count_end(end, total_us);
  std::string server_label;
  AccessRecord record;
  record.client = client_.peer;
  record.listener = client_.listener->name;
  record.service = service_->config.name;
  record.mode = service_->mode();
  record.sni = client_.sni;
  record.end = end;
  record.reason = reason;
  record.handshake_ms = client_.handshake_ms;
  record.total_ms = static_cast<int64_t>(total_us / 1000);
  record.tls = client_.tls;
  const bool counts = client_.worker->access_log.wants_counts();
  if (counts) record.counts = counts_of(client_, service_.get());
  if (tunnel_) {
    const ServerConnection& server = tunnel_->server();
    server.load.endpoint()->write_label(server_label);
    record.server = server_label;
    if (counts) record.counts.server = server.load.endpoint()->load.load(std::memory_order_relaxed);
    record.connect_ms = server.connect_ms;
    record.first_byte_ms = tunnel_->first_byte_ms();
    record.bytes_in = tunnel_->from_client();
    record.bytes_out = tunnel_->from_server();
  }
  client_.worker->access_log.write(record);
  if (tunnel_) tunnel_->close();
  client_.end();
}

}  // namespace sallyport
