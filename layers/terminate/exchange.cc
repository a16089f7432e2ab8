#include "layers/terminate/exchange.h"

#include <utility>

#include "base/text.h"
#include "layers/forward/proxy_header_for.h"

namespace sallyport {
namespace {

bool is_idempotent(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" ||
         method == "DELETE";
}

bool speaks_ntlm(const http::HeaderList& fields) {
  bool found = false;
  fields.for_each([&](http::Header header, http::HeaderId) {
    if (!equal_ignoring_case(header.name, "www-authenticate") && !equal_ignoring_case(header.name, "authorization"))
      return;
    std::string_view scheme = header.value.substr(0, header.value.find(' '));
    if (equal_ignoring_case(scheme, "ntlm") || equal_ignoring_case(scheme, "negotiate")) found = true;
  });
  return found;
}

}  // namespace

Exchange::Exchange() : connector_(*this), leg_(*this), deadline_(*this) {}
Exchange::~Exchange() = default;

void Exchange::begin(Client& client, ClientSide& side, bool upgrade) {
  client_ = &client;
  side_ = &side;
  upgrade_ = upgrade;
  upstream_ = &client.upstream_of(*service);
  pin_ = service->config.proxy_protocol != config::ProxyProtocol::off;
  if (pinned_.transport) {
    pinned_.reused = true;
    pin_ = true;
    start_request(std::move(pinned_));
    return;
  }
  connect(false);
}

void Exchange::connect(bool only_fresh) {
  ConnectOptions options;
  options.client_key = client_key(client_address);
  options.host = request.host;
  std::string header;
  if (service->config.proxy_protocol != config::ProxyProtocol::off) {
    ProxyTlvs tlvs;
    tlvs.ssl = client_->tls;
    tlvs.authority = client_->sni;
    header = proxy_header_for(*client_, *service, tlvs);
    options.proxy_header = header;
  } else {
    options.pooled = true;
    options.only_fresh = only_fresh;
    options.must_be_alive = !is_idempotent(request.method) || request.body != http::Body::none;
  }
  ++tries_;
  if (auto outcome = connector_.start(*upstream_, options)) on_connected(std::move(*outcome));
}

void Exchange::on_connected(Result<ServerConnection> connection) {
  if (!connection) {
    const Error& error = connection.error();
    switch (error.kind) {
      case Kind::unavailable: fail(End::no_server, 503, error.text()); break;
      case Kind::timeout: fail(End::server_timeout, 504, error.text()); break;
      case Kind::tls: fail(End::server_error, 502, error.text()); break;
      default: fail(End::server_refused, 502, error.text()); break;
    }
    side_->on_exchange();
    return;
  }
  start_request(std::move(*connection));
  side_->on_exchange();
}

void Exchange::start_request(ServerConnection connection) {
  connect_ms_ = connection.connect_ms;
  server_label_ = connection.load.endpoint()->label();
  leg_.attach(std::move(connection), response, response_trailers);
  std::string& scratch = client_->worker->scratch;
  leg_.send_head(request, upgrade_, scratch);
  if (held_) {
    while (!held_->empty()) {
      Bytes front = held_->front();
      leg_.send_body(front, scratch);
      held_->consume(front.size());
    }
    held_.reset();
  }
  if (request_ended_) leg_.send_end(request_trailers, scratch);
  progress_ = 0;
  arm(service->config.timeouts.server);
}

void Exchange::send_body(Bytes piece) {
  body_seen_ = true;
  if (over_) return;  // the response came early: the rest of the body goes nowhere
  if (leg_.attached()) {
    leg_.send_body(piece, client_->worker->scratch);
    return;
  }
  if (!held_) held_ = std::make_unique<Chain>(client_->worker->io.chunks);
  held_->append(piece);
}

void Exchange::send_end() {
  request_ended_ = true;
  if (over_) return;
  if (leg_.attached()) leg_.send_end(request_trailers, client_->worker->scratch);
}

bool Exchange::wants_body() const noexcept {
  if (over_) return true;
  if (leg_.attached()) return !leg_.congested();
  return !held_ || held_->size() < Transport::kHighMark;
}

bool Exchange::pump() {
  if (over_ || !leg_.attached()) return true;
  bool done = leg_.pump();
  // The leg may have failed and another attempt be under way: then there is no connection to look at.
  if (!over_ && leg_.attached()) note_progress();
  return done;
}

void Exchange::note_progress() {
  const Transport& transport = *leg_.connection().transport;
  uint64_t now = transport.received() + transport.sent();
  if (now == progress_) return;
  progress_ = now;
  arm(head_received_ ? service->config.timeouts.tunnel : service->config.timeouts.server);
}

void Exchange::arm(config::Milliseconds after) { client_->worker->io.loop.arm(deadline_, after); }

void Exchange::on_deadline(Deadline&) {
  if (over_) return;
  if (leg_.attached()) {
    // The client's own slowness is the flow's business, which has a deadline of its own.
    bool waits_for_client = !side_->may_receive() || (!request_ended_ && leg_.connection().transport->pending() == 0);
    if (waits_for_client) {
      arm(head_received_ ? service->config.timeouts.tunnel : service->config.timeouts.server);
      return;
    }
  }
  fail(End::server_timeout, 504, head_received_ ? "no byte of the response body" : "no response");
  side_->on_exchange();
}

void Exchange::leg_event() { side_->on_exchange(); }
bool Exchange::leg_may_read() const { return side_->may_receive(); }

void Exchange::leg_head(bool interim) {
  if (first_byte_ms < 0) first_byte_ms = static_cast<int64_t>((Loop::precise_now() - started_us) / 1000);
  if (!interim) {
    head_received_ = true;
    if (response.status == 401 && speaks_ntlm(response.fields)) pin_ = true;
    if (speaks_ntlm(request.fields)) pin_ = true;
  }
  side_->on_response_head(*this, interim);
}

void Exchange::leg_body(Bytes piece) { side_->on_response_body(*this, piece); }

void Exchange::leg_ended() {
  over_ = true;
  deadline_.disarm();
  side_->on_response_end(*this);
}

void Exchange::leg_upgraded(Bytes rest) {
  over_ = true;
  deadline_.disarm();
  first_byte_ms = static_cast<int64_t>((Loop::precise_now() - started_us) / 1000);
  side_->on_upgraded(*this, rest);
}

bool Exchange::replayable() const noexcept {
  return is_idempotent(request.method) && request.body == http::Body::none && !upgrade_ && !body_seen_;
}

void Exchange::leg_failed(const Error& error) {
  if (error.retry == Retry::if_reused && replayable() && tries_ < 2) {
    leg_.close();
    client_->worker->counters.retries.add();
    connect(true);
    return;
  }
  fail(error.kind == Kind::protocol || error.kind == Kind::limit ? End::server_error
       : head_received_                                          ? End::server_cut
                                                                 : End::server_closed,
       502, error.text());
}

void Exchange::fail(End how, int status_to_send, std::string why) {
  cancel();
  end = how;
  reason = std::move(why);
  side_->on_failed(*this, status_to_send);
}

void Exchange::cancel() {
  over_ = true;
  deadline_.disarm();
  connector_.cancel();
  if (leg_.attached()) {
    leg_.connection().transport->reset_on_close();
    leg_.close();
  }
  held_.reset();
}

void Exchange::release() {
  deadline_.disarm();
  if (!leg_.attached()) return;
  if (!leg_.reusable()) {
    leg_.close();
    return;
  }
  ServerConnection connection = leg_.detach();
  if (pin_) {
    pinned_ = std::move(connection);
    return;
  }
  const Upstream& upstream = upstream_->upstream;
  upstream_->pools[connection.endpoint]->give(
      std::move(connection.transport),
      Connector::pool_key(upstream, *upstream.endpoints[connection.endpoint], request.host), connection.generation);
}

void Exchange::reset(ChunkPool&) {
  cancel();
  request.clear();
  request_trailers.clear();
  response.clear();
  response_trailers.clear();
  service = nullptr;
  host.clear();
  path.clear();
  reason.clear();
  server_label_.clear();
  status = 0;
  bytes_in = bytes_out = started_us = progress_ = 0;
  first_byte_ms = connect_ms_ = -1;
  end = End::ok;
  client_ = nullptr;
  side_ = nullptr;
  upstream_ = nullptr;
  pinned_ = ServerConnection();
  tries_ = 0;
  upgrade_ = request_ended_ = body_seen_ = head_received_ = over_ = pin_ = false;
}

Exchange* ExchangePool::take() {
  if (free_.empty()) return new Exchange;
  Exchange* exchange = free_.back().release();
  free_.pop_back();
  return exchange;
}

void ExchangePool::give(Exchange* exchange) {
  exchange->reset(chunks_);
  // One that has held a giant head goes back to the allocator.
  bool large = exchange->request.fields.capacity_bytes() + exchange->response.fields.capacity_bytes() > 64 * 1024;
  if (large || free_.size() >= 256) {
    delete exchange;
  } else {
    free_.emplace_back(exchange);
  }
}

}  // namespace sallyport
