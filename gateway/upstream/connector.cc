#include "upstream/connector.h"

#include "base/log.h"
#include "net/socket.h"

namespace sallyport {

std::string_view Connector::pool_key(const Upstream& upstream, const Endpoint& endpoint,
                                     std::string_view host) noexcept {
  if (!upstream.tls) return {};
  if (!upstream.tls_name.empty()) return upstream.tls_name;
  return host.empty() ? std::string_view(endpoint.host()) : host;
}

std::optional<Result<ServerConnection>> Connector::start(WorkerUpstream& upstream, const ConnectOptions& options) {
  cancel();
  upstream_ = &upstream;
  client_key_ = options.client_key;
  host_ = options.host;
  proxy_header_ = options.proxy_header;
  pooled_ = options.pooled && !options.only_fresh;
  must_be_alive_ = options.must_be_alive;
  tried_ = 0;
  attempts_ = 0;
  started_us_ = Loop::precise_now();
  error_ = Error{Kind::unavailable, Side::upstream, Retry::no, 0, "no server has an address", {}};
  return try_servers();
}

void Connector::cancel() noexcept {
  deadline_.disarm();
  transport_.reset();
  load_ = LoadTicket();
}

std::optional<Result<ServerConnection>> Connector::try_servers() {
  const Upstream& upstream = upstream_->upstream;
  while (attempts_ <= upstream.retries) {
    int index = upstream_->balancer.pick(client_key_, tried_);
    if (index < 0) break;
    ++attempts_;
    index_ = static_cast<size_t>(index);
    const auto& endpoint = upstream.endpoints[index_];
    generation_ = endpoint->generation();
    load_ = LoadTicket(endpoint);
    if (pooled_) {
      if (auto idle =
              upstream_->pools[index_]->take(pool_key(upstream, *endpoint, host_), generation_, must_be_alive_)) {
        ServerConnection connection{std::move(idle), std::move(load_), index_, generation_, true, 0};
        return Result<ServerConnection>(std::move(connection));
      }
    }
    switch (begin(index_)) {
      case Progress::waiting: return std::nullopt;
      case Progress::connected: return Result<ServerConnection>(take_connection());
      case Progress::failed: attempt_failed(); break;
    }
  }
  load_ = LoadTicket();
  return Result<ServerConnection>(error_);
}

void Connector::attempt_failed() {
  transport_.reset();
  deadline_.disarm();
  if (index_ < 64) tried_ |= Tried{1} << index_;
  Endpoint& endpoint = *upstream_->upstream.endpoints[index_];
  endpoint.connect_failures.fetch_add(1, std::memory_order_relaxed);
  error_.side = Side::upstream;
  error_.detail = error_.detail.empty() ? endpoint.label() : endpoint.label() + ": " + error_.detail;
  if (upstream_->context.connect_failed) upstream_->context.connect_failed(endpoint);
  log::debug("service {}: {}", upstream_->upstream.service, error_.text());
}

Connector::Progress Connector::begin(size_t index) {
  const Upstream& upstream = upstream_->upstream;
  tcp_done_ = false;
  auto connecting = connect_to(upstream.endpoints[index]->address());
  if (!connecting) {
    error_ = connecting.error();
    return Progress::failed;
  }
  auto transport = Transport::make(*upstream_->context.io, std::move(connecting->fd), !connecting->in_progress);
  if (!transport) {
    error_ = transport.error();
    return Progress::failed;
  }
  transport_ = std::move(*transport);
  transport_->set_handler(this);
  upstream_->context.io->loop.arm(deadline_, upstream.timeouts.connect);
  return connecting->in_progress ? Progress::waiting : advance();
}

Connector::Progress Connector::advance() {
  const Upstream& upstream = upstream_->upstream;
  if (!tcp_done_) {
    if (!transport_->writable() && !transport_->hangup()) return Progress::waiting;
    if (int error = socket_error(transport_->fd()); error != 0) {
      error_ = Error::from_errno(error, Side::upstream, Retry::other_endpoint, "connect");
      return Progress::failed;
    }
    tcp_done_ = true;
    transport_->write(as_bytes(proxy_header_));
    if (!upstream.tls) return Progress::connected;
    if (start_tls() == Progress::failed) return Progress::failed;
  }
  switch (transport_->handshake()) {
    case Transport::Handshake::done: return Progress::connected;
    case Transport::Handshake::again: return Progress::waiting;
    case Transport::Handshake::failed: break;
  }
  error_ = transport_->error();
  error_.what = "TLS to the server";
  error_.retry = Retry::other_endpoint;
  return Progress::failed;
}

Connector::Progress Connector::start_tls() {
  const Upstream& upstream = upstream_->upstream;
  const Endpoint& endpoint = *upstream.endpoints[index_];
  std::string_view name = pool_key(upstream, endpoint, host_);
  std::string ip;
  if (name.empty()) {
    ip = endpoint.address().ip_text();
    name = ip;
  }
  auto started = transport_->connect_tls(*upstream.tls, name, upstream.tls_verify, *upstream_->context.tls_sessions,
                                         endpoint.address().text());
  if (started) return Progress::waiting;
  error_ = started.error();
  return Progress::failed;
}

ServerConnection Connector::take_connection() {
  deadline_.disarm();
  transport_->set_handler(nullptr);
  auto took = static_cast<uint32_t>((Loop::precise_now() - started_us_) / 1000);
  return ServerConnection{std::move(transport_), std::move(load_), index_, generation_, false, took};
}

void Connector::on_io() {
  switch (advance()) {
    case Progress::waiting: return;
    case Progress::connected: report(take_connection()); return;
    case Progress::failed: break;
  }
  attempt_failed();
  if (auto outcome = try_servers()) report(std::move(*outcome));
}

void Connector::on_deadline(Deadline&) {
  error_ = Error{Kind::timeout,
                 Side::upstream,
                 Retry::other_endpoint,
                 0,
                 tcp_done_ ? "TLS to the server timed out" : "connect timed out",
                 {}};
  attempt_failed();
  if (auto outcome = try_servers()) report(std::move(*outcome));
}

void Connector::report(Result<ServerConnection> outcome) { owner_.on_connected(std::move(outcome)); }

}  // namespace sallyport
