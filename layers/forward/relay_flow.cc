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
  if (!admits(service_->config.access, client_.peer)) {
    client_.worker->counters.reject(Rejection::access);
    finish(End::denied);
    return;
  }
  ConnectOptions options;
  options.key = client_key(client_.peer);
  options.client = &client_.peer;
  options.host = client_.sni;
  options.proxy_header = proxy_header_;
  if (auto outcome = connector_->start(service_.upstream(), options)) on_connected(std::move(*outcome));
}

void RelayFlow::on_connected(Result<ServerConnection> connection) {
  if (!connection) {
    const Error& error = connection.error();
    // Nothing was forwarded: the client sees what it would have seen from a server that is not there.
    client_.transport->reset_on_close();
    if (error.kind == Kind::limit) client_.worker->counters.reject(Rejection::busy);
    End end = error.kind == Kind::unavailable ? End::no_server
              : error.kind == Kind::limit     ? End::limit
              : error.kind == Kind::timeout   ? End::server_timeout
              : error.kind == Kind::tls       ? End::server_error
                                              : End::server_refused;
    finish(end, error.text());
    return;
  }
  std::string().swap(proxy_header_);
  tunnel_ = std::make_unique<Tunnel>(client_, std::move(*connection), service_->config.timeouts.tunnel,
                                     static_cast<Tunnel::Owner&>(*this));
  connector_.reset();
  tunnel_->start();
}

// Still connecting: the client's bytes wait in its socket, but one that is gone frees the attempt.
void RelayFlow::on_io() {
  if (client_.transport->broken()) finish(End::client_cut);
}

void RelayFlow::abort() { finish(End::drain); }

void RelayFlow::server_down(const Endpoint& endpoint) {
  if (!tunnel_ || tunnel_->server().load.endpoint() != &endpoint) return;
  client_.transport->reset_on_close();
  finish(End::server_cut, "the server is down");
}

void RelayFlow::end_what_is_gone(uint64_t since_ms) {
  const Endpoint* server = tunnel_ ? tunnel_->server().load.endpoint() : nullptr;
  if (service_.gone(server, client_.worker->io.loop.now(), since_ms)) finish(End::drain);
}

void RelayFlow::finish(End end, std::string_view reason) {
  if (connector_) connector_->cancel();  // what else is due in this turn must find nothing to do
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
  record.total_ms = static_cast<int64_t>((Loop::precise_now() - client_.accepted_us) / 1000);
  if (tunnel_) {
    const ServerConnection& server = tunnel_->server();
    server.load.endpoint()->write_label(server_label);
    record.server = server_label;
    record.connect_ms = server.connect_ms;
    record.first_byte_ms = tunnel_->first_byte_ms();
    record.bytes_in = tunnel_->from_client();
    record.bytes_out = tunnel_->from_server();
    client_.worker->counters.bytes_in.add(record.bytes_in);
    client_.worker->counters.bytes_out.add(record.bytes_out);
  }
  client_.worker->access_log.write(record);
  if (tunnel_) tunnel_->close();
  client_.end();
}

}  // namespace sallyport
