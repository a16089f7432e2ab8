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
  http_ = options.http;
  tunnel_ = options.tunnel && upstream.upstream.protocol == config::HttpProtocol::auto_;
  only_http1_ = (options.only_http1 || tunnel_) && upstream.upstream.protocol == config::HttpProtocol::auto_;
  tried_ = options.avoid;
  attempts_ = 0;
  started_us_ = Loop::precise_now();
  error_ = Error{Kind::unavailable, Side::upstream, Retry::no, 0, "no server has an address", {}};
  return try_servers();
}

void Connector::cancel() noexcept {
  deadline_.disarm();
  static_cast<ListHook<H2Waiter>&>(*this).unlink();
  static_cast<ListHook<Gate::Waiter>&>(*this).unlink();
  seat_.release();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  dial_failed_ = false;
  end_dial(nullptr);
  transport_.reset();
  load_ = LoadTicket();
}

std::optional<Result<ServerConnection>> Connector::try_servers() {
  const Upstream& upstream = upstream_->upstream;
  while (attempts_ <= upstream.retries) {
    int index = upstream_->balancer.pick(client_key_, tried_);
    if (index < 0 && attempts_ == 0 && tried_ != 0) {
      tried_ = 0;
      continue;
    }
    if (index < 0) break;
    ++attempts_;
    index_ = static_cast<size_t>(index);
    const auto& endpoint = upstream.endpoints[index_];
    generation_ = endpoint->generation();
    load_ = LoadTicket(endpoint);
    std::optional<Result<ServerConnection>> found;
    if (find_connection(found)) return found;
    ServerConnection connection;
    switch (begin(index_)) {
      case Progress::waiting: return std::nullopt;
      case Progress::connected:
        if (take_connection(connection)) return Result<ServerConnection>(std::move(connection));
        [[fallthrough]];
      case Progress::failed: attempt_failed(); break;
    }
  }
  load_ = LoadTicket();
  return Result<ServerConnection>(error_);
}

bool Connector::may_be_h2() const noexcept {
  return http_ && !only_http1_ && upstream_->upstream.protocol != config::HttpProtocol::http1;
}

bool Connector::find_connection(std::optional<Result<ServerConnection>>& found) {
  const Upstream& upstream = upstream_->upstream;
  std::string_view name = pool_key(upstream, *upstream.endpoints[index_], host_);
  bool h2 = may_be_h2();
  if (h2 || tunnel_) {
    // A PROXY header speaks for one client only.
    key_ = name;
    if (!proxy_header_.empty()) key_.append("\n").append(proxy_header_);
    H2Pool& pool = *upstream_->h2_pools[index_];
    H2Connection* connection = pool.find(key_, generation_);
    if (connection != nullptr && (h2 || connection->extended_connect())) {
      ServerConnection stream;
      stream.h2 = connection;
      stream.load = std::move(load_);
      stream.endpoint = index_;
      stream.generation = generation_;
      stream.reused = true;
      found = Result<ServerConnection>(std::move(stream));
      return true;
    }
  }
  bool http1 = pooled_ && upstream.protocol != config::HttpProtocol::h2;
  // Whether the server speaks HTTP/2 is not known before it has been asked: a dial brings that to light.
  bool gated = http1 && (!h2 || upstream_->h2_pools[index_]->only_http1());
  if (gated && !seat_) {
    Gate& gate = *upstream_->gates[index_];
    seat_ = gate.try_take();
    if (!seat_) {
      gate.wait(*this);
      return true;
    }
  }
  if (http1) {
    if (auto idle = upstream_->pools[index_]->take(name, generation_, must_be_alive_)) {
      ServerConnection connection;
      connection.transport = std::move(idle);
      connection.load = std::move(load_);
      connection.seat = std::move(seat_);
      connection.endpoint = index_;
      connection.generation = generation_;
      connection.reused = true;
      found = Result<ServerConnection>(std::move(connection));
      return true;
    }
  }
  if (h2) {
    H2Pool& pool = *upstream_->h2_pools[index_];
    if (!pool.only_http1()) {
      if (H2Dial* dial = pool.dial(key_, generation_)) {
        pool.wait(*dial, *this);
        return true;
      }
      dial_ = pool.begin_dial(key_, generation_);
    }
  }
  return false;
}

void Connector::end_dial(const Error* error) {
  if (auto dial = std::move(dial_)) dial->end(error);
}

// The attempt that was waited for is over. What it found counts for this one too.
void Connector::on_dialed(const Error* error) {
  dial_failed_ = error != nullptr;
  if (error != nullptr) error_ = *error;
  upstream_->context.io->loop.run_soon(*this);
}

void Connector::on_seat(Gate::Seat seat) {
  seat_ = std::move(seat);
  upstream_->context.io->loop.run_soon(*this);
}

void Connector::on_run() {
  if (dial_failed_) {
    dial_failed_ = false;
    if (index_ < 64) tried_ |= Tried{1} << index_;
    if (auto outcome = try_servers()) report(std::move(*outcome));
    return;
  }
  generation_ = upstream_->upstream.endpoints[index_]->generation();  // it may have moved meanwhile
  std::optional<Result<ServerConnection>> found;
  if (!find_connection(found)) {
    ServerConnection connection;
    switch (begin(index_)) {
      case Progress::waiting: return;
      case Progress::connected:
        if (take_connection(connection)) {
          report(std::move(connection));
          return;
        }
        [[fallthrough]];
      case Progress::failed:
        attempt_failed();
        found = try_servers();
        break;
    }
  }
  if (found) report(std::move(*found));
}

void Connector::attempt_failed() {
  transport_.reset();
  seat_.release();
  deadline_.disarm();
  if (index_ < 64) tried_ |= Tried{1} << index_;
  Endpoint& endpoint = *upstream_->upstream.endpoints[index_];
  endpoint.connect_failures.fetch_add(1, std::memory_order_relaxed);
  error_.side = Side::upstream;
  error_.detail = error_.detail.empty() ? endpoint.label() : endpoint.label() + ": " + error_.detail;
  if (upstream_->context.connect_failed) upstream_->context.connect_failed(endpoint);
  log::debug("service {}: {}", upstream_->upstream.service, error_.text());
  end_dial(&error_);
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
  if (needs_keep_alive(upstream.timeouts.tunnel)) set_keep_alive(transport_->fd());
  upstream_->context.io->loop.arm(deadline_, upstream.timeouts.connect);
  return connecting->in_progress ? Progress::waiting : advance();
}

Connector::Progress Connector::advance() {
  const Upstream& upstream = upstream_->upstream;
  if (!tcp_done_) {
    if (!transport_->writable() && !transport_->hangup()) return Progress::waiting;
    // A connect that failed shows as an error or a hang-up, beside being writable.
    if (transport_->hangup())
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
  SSL_CTX& context = only_http1_ && upstream.tls_http1 ? *upstream.tls_http1 : *upstream.tls;
  auto started = transport_->connect_tls(context, name, upstream.tls_verify, *upstream_->context.tls_sessions,
                                         endpoint.address().text());
  if (started) return Progress::waiting;
  error_ = started.error();
  return Progress::failed;
}

bool Connector::take_connection(ServerConnection& connection) {
  const Upstream& upstream = upstream_->upstream;
  bool h2 = may_be_h2() && (upstream.tls ? transport_->alpn() == "h2" : true);
  if (http_ && !h2 && upstream.protocol == config::HttpProtocol::h2) {
    error_ = Error{Kind::tls, Side::upstream, Retry::other_endpoint, 0, "the server does not agree on HTTP/2", {}};
    return false;
  }
  deadline_.disarm();
  transport_->set_handler(nullptr);
  connection.connect_ms = static_cast<uint32_t>((Loop::precise_now() - started_us_) / 1000);
  connection.load = std::move(load_);
  connection.endpoint = index_;
  connection.generation = generation_;
  if (may_be_h2()) upstream_->h2_pools[index_]->learn(h2);
  if (h2) {
    // Who waits goes on when the server has said how many requests it takes.
    connection.h2 = &upstream_->h2_pools[index_]->adopt(std::move(transport_), key_, generation_, std::move(dial_));
  } else {
    connection.transport = std::move(transport_);
    connection.seat = std::move(seat_);
  }
  end_dial(nullptr);
  return true;
}

void Connector::on_io() {
  ServerConnection connection;
  switch (advance()) {
    case Progress::waiting: return;
    case Progress::connected:
      if (take_connection(connection)) {
        report(std::move(connection));
        return;
      }
      break;
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
