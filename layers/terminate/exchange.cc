#include "layers/terminate/exchange.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/text.h"
#include "layers/forward/proxy_header_for.h"
#include "layers/terminate/grpc.h"
#include "layers/terminate/sticky_cookie.h"
#include "layers/terminate/websocket.h"
#include "net/socket.h"
#include "upstream/trouble.h"

namespace sallyport {
namespace {

bool is_idempotent(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" ||
         method == "DELETE";
}

constexpr size_t kMostReplayed = 64 * 1024;
// Of a request that servers say they have not processed. One that closes its connections after so many requests makes
// it through some of them each time.
constexpr int kMostTries = 4;
constexpr int kMostTriesLeaving = 20;

bool speaks_ntlm(const http::HeaderList& fields) {
  bool found = false;
  fields.for_each([&](const http::Header& header, http::HeaderId id) {
    if (id != http::HeaderId::www_authenticate && id != http::HeaderId::authorization) return;
    std::string_view scheme = header.value.substr(0, header.value.find(' '));
    if (equal_ignoring_case(scheme, "ntlm") || equal_ignoring_case(scheme, "negotiate")) found = true;
  });
  return found;
}

}  // namespace

Exchange::Exchange(ChunkPool& chunks)
    : connector_(*this), h1_leg_(*this), h2_leg_(*this, chunks), chunks_(chunks), deadline_(*this) {}
Exchange::~Exchange() = default;

void Exchange::begin(Client& client, ClientSide& side, bool upgrade) {
  client_ = &client;
  side_ = &side;
  upgrade_ = upgrade;
  upstream_ = &service.upstream();
  pin_ = speaks_for_one_client();
  preferred_ = take_cookie(upstream_->upstream, request.fields);
  if (pinned_.transport) {
    pinned_.reused = true;
    pin_ = true;
    start_request(std::move(pinned_));
    return;
  }
  connect(false);
}

// A connection that tells the server whose it is, by a PROXY header or by its very address.
bool Exchange::speaks_for_one_client() const noexcept {
  return service->config.proxy_protocol != config::ProxyProtocol::off || service->config.transparent;
}

void Exchange::connect(bool only_fresh) {
  ConnectOptions options;
  const bool by_uri = upstream_->upstream.balance == config::Balance::uri_hash;
  options.key = by_uri ? stable_hash(request.path()) : client_key(client_address);
  options.client = &client_address;
  options.preferred = preferred_;
  options.host = request.host;
  options.http = true;
  options.avoid = refused_;
  options.tunnel = upgrade_;
  options.only_http1 = only_http1_;
  std::string header;
  if (service->config.proxy_protocol != config::ProxyProtocol::off) {
    ProxyTlvs tlvs;
    tlvs.ssl = client_->tls;
    tlvs.authority = client_->sni;
    header = proxy_header_for(*client_, *service, tlvs);
    options.proxy_header = header;
  } else if (!speaks_for_one_client()) {
    options.pooled = true;
    options.only_fresh = only_fresh;
    options.must_be_alive = !is_idempotent(request.method) || request.body != http::Body::none;
  }
  ++tries_;
  if (auto* outcome = connector_.start(*upstream_, options)) on_connected(*outcome);
}

void Exchange::on_connected(Result<ServerConnection>& outcome) {
  if (!outcome) {
    const Error error = std::move(outcome.error());
    switch (error.kind) {
      case Kind::limit:
        client_->reject(Rejection::busy);
        fail(End::limit, 503, error.text());
        break;
      case Kind::unavailable: fail(End::no_server, 503, error.text()); break;
      case Kind::timeout: fail(End::server_timeout, 504, error.text()); break;
      case Kind::tls: fail(End::server_error, 502, error.text()); break;
      default: fail(End::server_refused, 502, error.text()); break;
    }
    side_->on_exchange();
    return;
  }
  start_request(std::move(*outcome));
  side_->on_exchange();
}

void Exchange::start_request(ServerConnection&& connection) {
  connect_ms_ = connection.connect_ms;
  connection.load.endpoint()->write_label(server_label_);
  endpoint_ = connection.endpoint;
  if (!connection.reused) service->stats->of(client_->worker->number).connect.observe_us(connection.connect_us);
  server()->stats.of(client_->worker->number).requests.add();
  asked_ = true;
  if (connection.h2 != nullptr) {
    h2_leg_.attach(std::move(connection), response, response_trailers, client_->worker->io.loop.now());
    leg_ = &h2_leg_;
  } else {
    h1_leg_.attach(std::move(connection), response, response_trailers);
    leg_ = &h1_leg_;
    if (upgrade_) complete_websocket_request(request);
  }
  std::string& scratch = client_->worker->scratch;
  leg_->send_head(request, upgrade_, scratch);
  if (!upgrade_) send_held();
  progress_ = 0;
  arm(answer_time());
}

// What came of the request's body while there was nowhere to send it.
void Exchange::send_held() {
  std::string& scratch = client_->worker->scratch;
  if (held_) {
    auto held = std::move(held_);
    while (!held->empty()) {
      Bytes front = held->front();
      leg_->send_body(front, scratch);
      keep_for_replay(front);
      held->consume(front.size());
    }
  }
  if (request_ended_) leg_->send_end(request_trailers, scratch);
}

// What may be sent again though a server has seen it, where the service asks for that.
bool Exchange::repeatable() const noexcept {
  const config::RetryOn& on = service->config.retry_on;
  return (on.reset || !on.statuses.empty()) && is_idempotent(request.method);
}

void Exchange::keep_for_replay(Bytes piece) {
  if (!replayable_body_) return;
  size_t kept = replay_ ? replay_->size() : 0;
  if ((leg_ != &h2_leg_ && !repeatable()) || upgrade_ || head_received_ || kept + piece.size() > kMostReplayed) {
    replayable_body_ = false;
    replay_.reset();
    return;
  }
  if (!replay_) replay_ = std::make_unique<Chain>(chunks_);
  replay_->append(piece);
}

void Exchange::send_body(Bytes piece) {
  body_seen_ = true;
  if (over_) return;  // the response came early: the rest of the body goes nowhere
  if (leg_ != nullptr && (!upgrade_ || upgraded_)) {
    leg_->send_body(piece, client_->worker->scratch);
    keep_for_replay(piece);
    return;
  }
  if (!held_) held_ = std::make_unique<Chain>(chunks_);
  held_->append(piece);
}

void Exchange::send_end() {
  request_ended_ = true;
  if (over_) return;
  if (leg_ != nullptr && (!upgrade_ || upgraded_)) leg_->send_end(request_trailers, client_->worker->scratch);
}

bool Exchange::wants_body() const noexcept {
  if (over_) return true;
  if (leg_ != nullptr && (!upgrade_ || upgraded_)) return !leg_->congested();
  return !held_ || held_->size() < Transport::kHighMark;
}

bool Exchange::pump() {
  if (over_ || leg_ == nullptr) return true;
  bool done = leg_->pump();
  // The leg may have failed and another attempt be under way: then there is nothing to look at.
  if (!over_ && leg_ != nullptr) note_progress();
  return done;
}

void Exchange::note_progress() {
  uint64_t now = leg_->progress();
  if (now == progress_) return;
  progress_ = now;
  client_->worker->tally.moved(*this);
  arm(head_received_ ? service->config.timeouts.tunnel : answer_time());
}

// How long the response head may take. A gRPC call that says how long it will wait is waited for.
config::Milliseconds Exchange::answer_time() const noexcept {
  config::Milliseconds time = service->config.timeouts.server;
  if (time.count() == 0) return time;
  return std::max(time, grpc_timeout(request.fields));
}

void Exchange::arm(config::Milliseconds after) { client_->worker->io.loop.arm(deadline_, after); }

void Exchange::on_deadline(Deadline&) {
  if (over_) return;
  if (leg_ != nullptr) {
    // The client's own slowness is the flow's business, which has a deadline of its own.
    bool waits_for_client = side_->may_receive() == 0 || (!request_ended_ && !upgrade_ && !leg_->sending());
    if (waits_for_client) {
      arm(head_received_ ? service->config.timeouts.tunnel : answer_time());
      return;
    }
    leg_->suspect();
  }
  fail(End::server_timeout, 504, head_received_ ? "no byte of the response body" : "no response");
  side_->on_exchange();
}

void Exchange::leg_event() { side_->on_exchange(); }
size_t Exchange::leg_may_read() const { return side_->may_receive(); }

void Exchange::leg_head(bool interim) {
  note_first_byte();
  if (!interim) {
    Endpoint& endpoint = *upstream_->upstream.endpoints[endpoint_];
    if (response.status >= 500)
      note_trouble(upstream_->upstream, endpoint, client_->worker->io.loop.now(), "status " + std::to_string(response.status));
    else
      endpoint.health.traffic_passed();
    if (retry_on_status()) {
      if (endpoint_ < 64) refused_ |= Tried{1} << endpoint_;
      count_answer(response.status / 100);
      let_go();
      client_->worker->io.loop.run_soon(*this);  // the leg that is speaking must have returned before it is used again
      return;
    }
    head_received_ = true;
    if (static_cast<int>(endpoint_) != preferred_) add_cookie(upstream_->upstream, endpoint_, client_->tls, response.fields);
    replay_.reset();
    if (needs_keep_alive(service->config.timeouts.tunnel)) set_keep_alive(client_->transport->fd());
    if (leg_ == &h1_leg_ && (speaks_ntlm(request.fields) || (response.status == 401 && speaks_ntlm(response.fields))))
      pin_ = ntlm_ = true;
  }
  side_->on_response_head(*this, interim);
}

void Exchange::leg_body(Bytes piece) {
  if (response.status == 400 && !upstream_->upstream.tls)
    note_hint(upstream_->upstream, *upstream_->upstream.endpoints[endpoint_],
              hint_of_response(response.status, as_text(piece)));
  side_->on_response_body(*this, piece);
}

void Exchange::leg_ended() {
  count_answer(response.status / 100);
  over_ = true;
  deadline_.disarm();
  side_->on_response_end(*this);
}

void Exchange::leg_upgraded(Bytes rest) {
  note_first_byte();
  count_answer(response.status / 100);
  service->stats->of(client_->worker->number).connections.add();
  head_received_ = upgraded_ = true;
  side_->on_upgraded(*this, rest);
  if (over_ || leg_ == nullptr) return;
  arm(service->config.timeouts.tunnel);
  send_held();
}

void Exchange::leg_half_closed() { side_->on_half_closed(*this); }

ServerConnection Exchange::take_connection() noexcept {
  static_cast<ListHook<Mover>&>(*this).unlink();  // the tunnel is from now on
  over_ = true;
  deadline_.disarm();
  leg_ = nullptr;
  return h1_leg_.detach();
}

void Exchange::note_first_byte() {
  if (first_byte_ms >= 0) return;
  const uint64_t took_us = client_->worker->io.loop.turn_began_us() - started_us;
  first_byte_ms = static_cast<int64_t>(took_us / 1000);
  const unsigned worker = client_->worker->number;
  service->stats->of(worker).first_byte.observe_us(took_us);
  server()->stats.of(worker).first_byte.observe_us(took_us);
}

void Exchange::count_answer(int status_class) {
  if (!std::exchange(asked_, false)) return;
  server()->stats.of(client_->worker->number).responses[status_class >= 1 && status_class <= 5 ? status_class : 0].add();
}

const Endpoint* Exchange::server() const noexcept {
  return connect_ms_ < 0 ? nullptr : upstream_->upstream.endpoints[endpoint_].get();
}

void Exchange::count_bytes(const Client& client, uint64_t tunnel_in, uint64_t tunnel_out) {
  const Service* of = service ? std::to_address(service) : nullptr;
  counted_.count(client, of, server(), bytes_in + tunnel_in, bytes_out + tunnel_out);
}

bool Exchange::may_repeat() const noexcept {
  return !head_received_ && !upgrade_ && !ntlm_ && repeatable() && replayable_body_ && tries_ <= service->config.retries;
}

bool Exchange::retry_on_status() const {
  const auto& statuses = service->config.retry_on.statuses;
  if (statuses.empty() || std::find(statuses.begin(), statuses.end(), response.status) == statuses.end()) return false;
  const Tried tried = endpoint_ < 64 ? refused_ | Tried{1} << endpoint_ : refused_;
  return may_repeat() && upstream_->balancer.another(tried);
}

// The server's side as if nothing had been asked yet, with the body where it was before.
void Exchange::let_go() {
  asked_ = false;
  deadline_.disarm();
  if (leg_ == &h1_leg_) h1_leg_.close();
  h2_leg_.abandon();
  leg_ = nullptr;
  server_code_ = http::H2Code::no_error;
  response.clear();
  response_trailers.clear();
  if (replay_) {
    if (held_) replay_->take(*held_);
    held_ = std::move(replay_);
  }
  client_->worker->counters.retries.add();
  service->stats->of(client_->worker->number).retries.add();
}

bool Exchange::may_retry(const Error& error) const noexcept {
  if (head_received_ || upgrade_) return false;
  if (error.kind == Kind::cut && service->config.retry_on.reset && may_repeat()) return true;
  switch (error.retry) {
    case Retry::no: return false;
    // The server may have done something with it.
    case Retry::if_reused:
      return is_idempotent(request.method) && request.body == http::Body::none && !body_seen_ && tries_ < 2;
    case Retry::other_endpoint:
      return replayable_body_ && tries_ < (h2_leg_.server_leaves() ? kMostTriesLeaving : kMostTries);
  }
  return false;
}

void Exchange::leg_failed(const Error& error) {
  if (error.retry != Retry::if_reused) count_answer(0);
  server_code_ = leg_ == &h2_leg_ ? h2_leg_.code() : http::H2Code::no_error;
  if (error.retry != Retry::if_reused)  // one that it closed while idle tells nothing
    note_trouble(upstream_->upstream, *upstream_->upstream.endpoints[endpoint_], client_->worker->io.loop.now(),
                 error.text());
  bool wants_http1 = server_code_ == http::H2Code::http_1_1_required && !only_http1_ && !head_received_ &&
                     replayable_body_ && service->upstream->protocol == config::HttpProtocol::auto_;
  if (wants_http1 || may_retry(error)) {
    only_http1_ = only_http1_ || wants_http1;
    if (error.retry != Retry::if_reused && endpoint_ < 64) refused_ |= Tried{1} << endpoint_;
    let_go();
    connect(true);
    return;
  }
  std::string why = error.text();
  if (leg_ == &h1_leg_ && h1_leg_.saw_tls()) {
    const Upstream& upstream = upstream_->upstream;
    note_hint(upstream, *upstream.endpoints[endpoint_], ProtocolHint::speaks_tls);
    why.append("; ").append(advice(ProtocolHint::speaks_tls, upstream.side));
  }
  fail(error.kind == Kind::protocol || error.kind == Kind::limit ? End::server_error
       : head_received_                                          ? End::server_cut
                                                                 : End::server_closed,
       502, std::move(why));
}

void Exchange::fail(End how, int status_to_send, std::string why) {
  count_answer(0);
  cancel();
  end = how;
  reason = std::move(why);
  side_->on_failed(*this, status_to_send);
}

void Exchange::server_down(const Endpoint& endpoint) {
  if (over_ || leg_ == nullptr || upstream_->upstream.endpoints[endpoint_].get() != &endpoint) return;
  fail(End::server_cut, 502, "the server is down");
  side_->on_exchange();
}

bool Exchange::gone(uint64_t now_ms, uint64_t since_ms) const noexcept {
  const bool connected = upstream_ != nullptr && !server_label_.empty();
  return service.gone(connected ? upstream_->upstream.endpoints[endpoint_].get() : nullptr, now_ms, since_ms);
}

void Exchange::cancel() {
  if (head_received_) count_answer(response.status / 100);  // the client had enough of it
  asked_ = false;
  over_ = true;
  deadline_.disarm();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  static_cast<ListHook<Mover>&>(*this).unlink();
  connector_.cancel();
  if (leg_ != nullptr) leg_->abandon();
  leg_ = nullptr;
  held_.reset();
  replay_.reset();
}

void Exchange::release() {
  deadline_.disarm();
  if (leg_ != &h1_leg_ || !h1_leg_.reusable()) {
    h2_leg_.abandon();
    h1_leg_.close();
    leg_ = nullptr;
    return;
  }
  leg_ = nullptr;
  ServerConnection connection = h1_leg_.detach();
  const Upstream& upstream = upstream_->upstream;
  if (pin_) {
    connection.seat.release();
    // Kept for one client it would keep its place from those who wait, unless it cannot be had again (NTLM).
    if (connection.slot && !ntlm_ && upstream.queue->waits_for(*upstream.endpoints[connection.endpoint])) return;
    pinned_ = std::move(connection);
    return;
  }
  const size_t endpoint = connection.endpoint;
  connection.load = LoadTicket();
  connection.seat.release();
  upstream_->give(std::move(connection.transport), std::move(connection.slot),
                  Connector::pool_key(upstream, *upstream.endpoints[endpoint], request.host), endpoint,
                  connection.generation);
}

void Exchange::reset() {
  cancel();
  request.clear();
  request_trailers.clear();
  response.clear();
  response_trailers.clear();
  service.reset();
  host.clear();
  path.clear();
  referer.clear();
  user_agent.clear();
  reason.clear();
  server_label_.clear();
  status = 0;
  bytes_in = bytes_out = started_us = progress_ = 0;
  counted_.reset();
  first_byte_ms = connect_ms_ = -1;
  end = End::ok;
  client_ = nullptr;
  side_ = nullptr;
  upstream_ = nullptr;
  if (pinned_.transport) pinned_ = ServerConnection();
  server_code_ = http::H2Code::no_error;
  tries_ = 0;
  preferred_ = -1;
  refused_ = 0;
  upgrade_ = upgraded_ = request_ended_ = body_seen_ = head_received_ = over_ = pin_ = ntlm_ = only_http1_ = false;
  replayable_body_ = true;
}

Exchange* ExchangePool::take() {
  if (free_.empty()) return new Exchange(chunks_);
  Exchange* exchange = free_.back().release();
  free_.pop_back();
  return exchange;
}

void ExchangePool::give(Exchange* exchange) {
  exchange->reset();
  // One that has held a giant head goes back to the allocator.
  bool large = exchange->request.fields.capacity_bytes() + exchange->response.fields.capacity_bytes() > 64 * 1024;
  if (large || free_.size() >= 256) {
    delete exchange;
  } else {
    free_.emplace_back(exchange);
  }
}

}  // namespace sallyport
