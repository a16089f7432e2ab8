#include "upstream/connector.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/socket.h"
#include "upstream/trouble.h"

namespace sallyport {
namespace {

int index_of(const Upstream& upstream, uint64_t hash) noexcept {
  for (size_t i = 0; i < upstream.endpoints.size(); ++i)
    if (upstream.endpoints[i]->hash() == hash) return static_cast<int>(i);
  return -1;
}

int index_of(const Upstream& upstream, const Endpoint& endpoint) noexcept {
  for (size_t i = 0; i < upstream.endpoints.size(); ++i)
    if (upstream.endpoints[i].get() == &endpoint) return static_cast<int>(i);
  return -1;
}

}  // namespace

std::string_view Connector::pool_key(const Upstream& upstream, const Endpoint& endpoint,
                                     std::string_view host) noexcept {
  if (!upstream.tls) return {};
  if (!upstream.tls_name.empty()) return upstream.tls_name;
  return host.empty() ? std::string_view(endpoint.tls_name()) : host;
}

Result<ServerConnection>* Connector::start(WorkerUpstream& upstream, const ConnectOptions& options) {
  cancel();
  used_ = true;
  upstream_ = &upstream;
  key_hash_ = options.key;
  client_ = options.client;
  preferred_ = options.preferred;
  stuck_to_ = 0;
  if (upstream.upstream.sticky && client_ != nullptr) {
    stuck_to_ = upstream.upstream.sticky->find(*client_, upstream.context.io->loop.now());
    if (stuck_to_ != 0) preferred_ = index_of(upstream.upstream, stuck_to_);
  }
  host_ = options.host;
  proxy_header_ = options.proxy_header;
  pooled_ = options.pooled && !options.only_fresh;
  must_be_alive_ = options.must_be_alive;
  http_ = options.http;
  tunnel_ = options.tunnel && upstream.upstream.protocol == config::HttpProtocol::auto_;
  only_http1_ = (options.only_http1 || tunnel_) && upstream.upstream.protocol == config::HttpProtocol::auto_;
  tried_ = options.avoid;
  attempts_ = 0;
  queued_ms_ = 0;
  queued_for_ = -1;
  started_us_ = upstream.context.io->loop.turn_began_us();
  error_ = Error();
  return try_servers();
}

void Connector::cancel() noexcept {
  if (!std::exchange(used_, false)) return;
  deadline_.disarm();
  static_cast<ListHook<H2Waiter>&>(*this).unlink();
  static_cast<ListHook<Gate::Waiter>&>(*this).unlink();
  seat_.release();
  stop_waiting();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  dial_failed_ = false;
  end_dial(nullptr);
  transport_.reset();
  handed_ = {};
  slot_.release();
  race_.reset();
  load_ = LoadTicket();
  outcome_.reset();
}

bool Connector::may_be_h2() const noexcept {
  return http_ && !only_http1_ && upstream_->upstream.protocol != config::HttpProtocol::http1;
}

Connector::Where Connector::find_connection() {
  const Upstream& upstream = upstream_->upstream;
  const auto& endpoint = upstream.endpoints[index_];
  std::string_view name = pool_key(upstream, *endpoint, host_);
  bool h2 = may_be_h2();
  if (h2 || tunnel_) {
    // A PROXY header speaks for one client only.
    key_ = name;
    if (!proxy_header_.empty()) key_.append("\n").append(proxy_header_);
    H2Pool& pool = *upstream_->h2_pools[index_];
    H2Connection* connection = pool.find(key_, generation_);
    if (connection != nullptr && (h2 || connection->extended_connect())) {
      slot_.release();  // the connection has its own
      ServerConnection& stream = connected();
      stream.h2 = connection;
      stream.reused = true;
      settle(stream);
      return Where::found;
    }
  }
  bool http1 = pooled_ && upstream.protocol != config::HttpProtocol::h2;
  // Whether the server speaks HTTP/2 is not known before it has been asked: a dial brings that to light. Where there is a
  // hard limit, that one counts.
  bool gated = http1 && (!h2 || upstream_->h2_pools[index_]->only_http1()) && endpoint->max_connections() == 0;
  if (gated && !seat_) {
    Gate& gate = *upstream_->gates[index_];
    seat_ = gate.try_take();
    if (!seat_) {
      gate.wait(*this);
      return Where::waiting;
    }
  }
  if (http1 && !slot_) {
    if (auto idle = upstream_->pools[index_]->take(name, generation_, must_be_alive_, &slot_)) {
      ServerConnection& connection = connected();
      connection.transport = std::move(idle);
      connection.seat = std::move(seat_);
      connection.reused = true;
      settle(connection);
      return Where::found;
    }
  }
  H2Pool* pool = h2 ? upstream_->h2_pools[index_].get() : nullptr;
  if (pool != nullptr && !pool->only_http1())
    if (H2Dial* dial = pool->dial(key_, generation_)) {
      slot_.release();
      pool->wait(*dial, *this);
      return Where::waiting;
    }
  if (!slot_ && !ServerSlot::take(endpoint, slot_)) return Where::busy;
  if (pool != nullptr && !pool->only_http1()) dial_ = pool->begin_dial(key_, generation_);
  return Where::connect;
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
  Outcome* outcome = nullptr;
  if (dial_failed_) {
    dial_failed_ = false;
    if (index_ < 64) tried_ |= Tried{1} << index_;
    outcome = try_servers();
  } else if (slot_) {
    const int index = index_of(upstream_->upstream, *slot_.endpoint());
    const auto candidates = upstream_->balancer.candidates(tried_, preferred_);
    if (index < 0 || std::find(candidates.begin(), candidates.end(), static_cast<size_t>(index)) == candidates.end()) {
      handed_ = {};
      slot_.release();
      outcome = try_servers();
    } else {
      set_server(static_cast<size_t>(index));
      ++attempts_;
      outcome = take_handed() ? &*outcome_ : go_on();
      if (outcome != nullptr && !outcome->ok()) outcome = try_servers();
    }
  } else {
    generation_ = upstream_->upstream.endpoints[index_]->generation();  // it may have moved meanwhile
    outcome = go_on();
    if (outcome != nullptr && !outcome->ok() && outcome->error().kind != Kind::limit) outcome = try_servers();
  }
  if (outcome != nullptr) report(*outcome);
}

ServerCounters& Connector::counters() const {
  return upstream_->upstream.endpoints[index_]->stats.of(upstream_->context.worker);
}

void Connector::attempt_failed() {
  transport_.reset();
  race_.reset();
  seat_.release();
  slot_.release();
  deadline_.disarm();
  if (index_ < 64) tried_ |= Tried{1} << index_;
  Endpoint& endpoint = *upstream_->upstream.endpoints[index_];
  counters().failures.add();
  endpoint.connect_failures.fetch_add(1, std::memory_order_relaxed);
  error_.side = Side::upstream;
  error_.detail = error_.detail.empty() ? endpoint.label() : endpoint.label() + ": " + error_.detail;
  if (upstream_->context.connect_failed) upstream_->context.connect_failed(endpoint);
  note_trouble(upstream_->upstream, endpoint, upstream_->context.io->loop.now(), error_.text());
  log::debug("service {}: {}", upstream_->upstream.service, error_.text());
  end_dial(&error_);
}

Connector::Progress Connector::begin(size_t index) {
  const Upstream& upstream = upstream_->upstream;
  const Endpoint& endpoint = *upstream.endpoints[index];
  attempt_us_ = Loop::precise_now();
  tcp_done_ = false;
  if (endpoint.has_two()) return begin_race(endpoint);
  const Address address = endpoint.address();
  if (address.empty()) {  // DNS has taken it away since it was picked
    error_ = Error{Kind::unavailable, Side::upstream, Retry::other_endpoint, 0, "the server has no address", {}};
    return Progress::failed;
  }
  auto connecting = connect_to(address, upstream.transparent ? client_ : nullptr);
  if (!connecting) {
    error_ = connecting.error();
    return Progress::failed;
  }
  auto transport = Transport::make(*upstream_->context.io, std::move(connecting->fd), !connecting->in_progress);
  if (!transport) {
    error_ = transport.error();
    return Progress::failed;
  }
  adopt(std::move(*transport));
  upstream_->context.io->loop.arm(deadline_, upstream.timeouts.connect);
  return connecting->in_progress ? Progress::waiting : advance();
}

void Connector::adopt(TransportPtr transport) {
  transport_ = std::move(transport);
  transport_->set_handler(this);
  if (needs_keep_alive(upstream_->upstream.timeouts.tunnel)) set_keep_alive(transport_->fd());
}

Connector::Progress Connector::begin_race(const Endpoint& endpoint) {
  IoContext& io = *upstream_->context.io;
  const Endpoint::Addresses addresses = endpoint.addresses();
  race_ = std::make_unique<HappyEyeballs>(io, static_cast<HappyEyeballs::Owner&>(*this));
  io.loop.arm(deadline_, upstream_->upstream.timeouts.connect);
  auto outcome = race_->start(addresses.first, addresses.second, upstream_->upstream.transparent ? client_ : nullptr);
  return outcome ? take_winner(std::move(*outcome)) : Progress::waiting;
}

Connector::Progress Connector::take_winner(Result<TransportPtr> winner) {
  auto race = std::move(race_);
  if (!winner) {
    error_ = winner.error();
    return Progress::failed;
  }
  if (race->second_won()) upstream_->upstream.endpoints[index_]->begin_with_other(race->first());
  adopt(std::move(*winner));
  return advance();
}

void Connector::on_raced(Result<TransportPtr> winner) { went(take_winner(std::move(winner))); }

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
  if (const ProtocolHint hint = hint_of_tls_failure(transport_->tls_failure()); hint != ProtocolHint::none) {
    note_hint(upstream, *upstream.endpoints[index_], hint);
    error_.detail.append(error_.detail.empty() ? "" : "; ").append(advice(hint, upstream.side));
  }
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

bool Connector::take_connection() {
  const Upstream& upstream = upstream_->upstream;
  bool h2 = may_be_h2() && (upstream.tls ? transport_->alpn() == "h2" : true);
  if (http_ && !h2 && upstream.protocol == config::HttpProtocol::h2) {
    error_ = Error{Kind::tls, Side::upstream, Retry::other_endpoint, 0, "the server does not agree on HTTP/2", {}};
    return false;
  }
  deadline_.disarm();
  transport_->set_handler(nullptr);
  ServerConnection& connection = connected();
  connection.connect_ms = static_cast<uint32_t>((upstream_->context.io->loop.turn_began_us() - started_us_) / 1000);
  connection.connect_us = Loop::precise_now() - attempt_us_;
  ServerCounters& counted = counters();
  counted.connections.add();
  counted.connect.observe_us(connection.connect_us);
  if (may_be_h2()) upstream_->h2_pools[index_]->learn(h2);
  if (h2) {
    upstream_->h2_pools[index_]->count_in(counted.http2_connections);
    // Who waits goes on when the server has said how many requests it takes.
    connection.h2 = &upstream_->h2_pools[index_]->adopt(std::move(transport_), key_, generation_, std::move(dial_),
                                                        std::move(slot_));
  } else {
    connection.transport = std::move(transport_);
    connection.seat = std::move(seat_);
  }
  end_dial(nullptr);
  settle(connection);
  return true;
}

void Connector::on_io() { went(advance()); }

void Connector::went(Progress progress) {
  if (progress == Progress::waiting) return;
  if (progress == Progress::connected && take_connection()) {
    report(*outcome_);
    return;
  }
  attempt_failed();
  if (Outcome* outcome = try_servers()) report(*outcome);
}

void Connector::on_deadline(Deadline&) {
  if (waiting()) {
    on_queue_deadline();
    return;
  }
  error_ = Error{Kind::timeout,
                 Side::upstream,
                 Retry::other_endpoint,
                 0,
                 tcp_done_ ? "TLS to the server timed out" : "connect timed out",
                 {}};
  attempt_failed();
  if (Outcome* outcome = try_servers()) report(*outcome);
}

}  // namespace sallyport
