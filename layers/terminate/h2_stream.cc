#include "layers/terminate/h2_stream.h"

#include <algorithm>
#include <optional>
#include <string>

#include "http/forwarding.h"
#include "http/h1_writer.h"
#include "layers/policies/headers.h"
#include "layers/terminate/dispatch.h"
#include "layers/terminate/exchange_log.h"
#include "layers/terminate/grpc.h"
#include "layers/terminate/h2_flow.h"
#include "layers/terminate/websocket.h"

namespace sallyport {
namespace {

// What a stream may hold for its client: much, or while all of a connection's hold too much, little.
constexpr size_t kMost = Transport::kHighMark;
constexpr size_t kMostCrowded = 16 * 1024;

}  // namespace

H2ClientStream::H2ClientStream(H2Flow& flow)
    : http::H2Stream(flow.client().worker->io.chunks),
      flow_(flow),
      exchange_(flow.client().worker->exchanges.take(), ExchangeReturner{&flow.client().worker->exchanges}),
      deadline_(*this) {
  exchange_->started_us = flow.client().worker->io.loop.turn_began_us();
  exchange_->client_address = flow.client().peer;
  request = &exchange_->request;
  trailers = &exchange_->request_trailers;
}

H2ClientStream::~H2ClientStream() = default;

const config::Timeouts& H2ClientStream::timeouts() const noexcept {
  return exchange_->service ? exchange_->service->config.timeouts : flow_.client().listener->timeouts;
}

void H2ClientStream::on_head(bool too_large) {
  head_complete_ = true;
  note_progress();
  if (too_large) {
    exchange_->host = exchange_->request.authority;
    exchange_->path = exchange_->request.target;
    flow_.client().count_request();
    flow_.client().reject(Rejection::bad_request);
    refuse(431, End::bad_request, "header list too large");
  } else {
    begin();
  }
  flow_.client().worker->io.loop.arm(deadline_, look_again());
}

// What the stream waits for changes without notice: the deadline comes round as often as the shorter of its times.
config::Milliseconds H2ClientStream::look_again() const noexcept {
  const config::Timeouts& times = timeouts();
  config::Milliseconds shorter = times.client.count() == 0   ? times.tunnel
                                 : times.tunnel.count() == 0 ? times.client
                                                             : std::min(times.client, times.tunnel);
  return shorter.count() == 0 ? config::Milliseconds(60'000) : std::max(shorter, config::Milliseconds(64));
}

void H2ClientStream::begin() {
  http::RequestHead& head = exchange_->request;
  std::string protocol = head.connect_protocol;
  if (!protocol.empty()) {
    tunnel_ = true;
    make_upgrade_request(head);
  }
  grpc_ = is_grpc(head.fields);
  if (!tunnel_ && head.method == "CONNECT") {
    exchange_->host = head.authority;
    flow_.client().count_request();
    flow_.client().reject(Rejection::bad_request);
    refuse(405, End::bad_request, "CONNECT");
    return;
  }
  if (auto answer = dispatch(flow_.client(), *exchange_, flow_.client_rule())) {
    respond(*answer);
    return;
  }
  flow_.pinned().offer(*exchange_);
  exchange_->begin(flow_.client(), *this, tunnel_);
}

void H2ClientStream::on_data(Bytes piece) {
  exchange_->bytes_in += piece.size();
  note_progress();
  if (!exchange_->begun() || response_over_) {
    flow_.session().consume(*this, piece.size());  // nobody wants it
    return;
  }
  unconsumed_ += piece.size();
  exchange_->send_body(piece);
  flow_.ready(*this);
}

void H2ClientStream::on_end() {
  note_progress();
  if (!exchange_->begun() || response_over_) return;
  exchange_->send_end();
  flow_.ready(*this);
}

void H2ClientStream::on_sent() {
  note_progress();
  if (response_over_ || (exchange_->begun() && exchange_->can_progress() && may_receive() != 0)) flow_.ready(*this);
}

void H2ClientStream::describe(SessionInfo& info) const {
  if (exchange_->service) info.service = exchange_->service.get();
  info.host = exchange_->host;
  info.path = exchange_->path;
  info.server = exchange_->server_label();
}

bool H2ClientStream::pump() {
  bool done = true;
  if (exchange_->begun() && !response_over_) {
    done = exchange_->pump();
    if (unconsumed_ > 0 && (response_over_ || exchange_->wants_body())) {
      flow_.session().consume(*this, unconsumed_);
      unconsumed_ = 0;
      note_progress();
    }
    if (!response_over_ && done && exchange_->can_progress() && may_receive() != 0) done = false;
  }
  if (response_over_) {
    release();
    // The answer is complete: what is left of the request is of no use (RFC 9113 section 8.1).
    if (end_sent() && !end_received()) flow_.session().reset(*this, http::H2Code::no_error);
    if (closed_) {
      finish();
      return true;
    }
  }
  return done;
}

// The server's side is done with.
void H2ClientStream::release() {
  if (released_) return;
  released_ = true;
  exchange_->release();
  if (exchange_->begun()) flow_.pinned().keep(*exchange_);
}

void H2ClientStream::on_exchange() { flow_.ready(*this); }

size_t H2ClientStream::may_receive() const {
  const bool has_room = (id() != 0 || closed_) && pending() < (flow_.crowded() ? kMostCrowded : kMost);
  return has_room ? Transport::kReadSize : 0;
}

void H2ClientStream::on_response_head(Exchange& exchange, bool interim) {
  http::ResponseHead& head = exchange.response;
  forward_response(head, false);
  if (interim) {
    flow_.session().respond_interim(*this, head);
    return;
  }
  // Such a server means the connection, and streams of other requests share this one: the client comes back with
  // HTTP/1.1, where it has a connection of its own.
  if (exchange.authenticates_connection()) {
    abort(http::H2Code::http_1_1_required, End::server_error, "NTLM needs HTTP/1.1");
    return;
  }
  if (tunnel_ && head.status >= 200 && head.status < 300) {
    // To this client a success would say that the tunnel stands.
    exchange.cancel();
    refuse(502, End::server_error, "the server did not switch protocols");
    return;
  }
  apply(exchange.service->config.response_headers, head.fields);
  if (auto priority = head.fields.find(http::HeaderId::priority)) flow_.session().prioritize(*this, *priority);
  // No content may still be followed by trailers, where those need no chunked coding.
  bool ended = head.body == http::Body::none ||
               (head.body == http::Body::sized && head.content_length == 0 && exchange.has_connection());
  exchange.status = head.status;
  head_sent_ = true;
  note_progress();
  flow_.session().respond(*this, head, ended);
}

void H2ClientStream::on_response_body(Exchange& exchange, Bytes piece) {
  if (response_over_) return;
  exchange.bytes_out += piece.size();
  if (pending() == 0) note_progress();
  flow_.session().send(*this, piece);
}

void H2ClientStream::on_response_end(Exchange& exchange) {
  if (response_over_) return;
  response_over_ = true;
  if (!end_queued()) flow_.session().end(*this, &exchange.response_trailers);
  flow_.ready(*this);
}

void H2ClientStream::on_upgraded(Exchange& exchange, Bytes) {
  http::ResponseHead& head = exchange.response;
  forward_response(head, false);
  if (exchange.has_connection()) {
    if (!make_connect_response(exchange.request, head)) {
      exchange.cancel();
      refuse(502, End::server_error, "the server's Sec-WebSocket-Accept is wrong");
      return;
    }
  }
  head.has_content_length = false;
  head.body = http::Body::chunked;
  apply(exchange.service->config.response_headers, head.fields);
  exchange.status = head.status;
  head_sent_ = true;
  note_progress();
  flow_.session().respond(*this, head, false);
}

void H2ClientStream::on_half_closed(Exchange&) { flow_.session().end(*this, nullptr); }

void H2ClientStream::on_failed(Exchange& exchange, int status) {
  if (response_over_) return;
  if (closed_) {
    response_over_ = true;
    flow_.ready(*this);
    return;
  }
  if (!head_sent_) {
    respond(http::error_reply(status));
    return;
  }
  http::H2Code code = exchange.server_code();
  // What a server says of its stream the client may as well know; gRPC makes a status of it.
  bool telling =
      code == http::H2Code::cancel || code == http::H2Code::enhance_your_calm || code == http::H2Code::refused_stream;
  abort(telling ? code : http::H2Code::internal_error, exchange.end, std::string(exchange.reason));
}

void H2ClientStream::refuse(int status, End end, std::string_view reason) {
  exchange_->end = end;
  exchange_->reason = reason;
  respond(http::error_reply(status));
}

void H2ClientStream::respond(const http::Reply& reply) {
  Exchange& exchange = *exchange_;
  response_over_ = head_sent_ = true;
  note_progress();
  flow_.ready(*this);
  std::optional<http::Reply> translated;
  if (grpc_ && reply.head.status >= 400)
    translated = grpc_reply(reply.head.status, http::reason_phrase(reply.head.status));
  const http::Reply& sent = translated ? *translated : reply;
  exchange.status = sent.head.status;
  bool ended = exchange.request.is_head() || sent.body.empty();
  flow_.session().respond(*this, sent.head, ended);
  if (ended) return;
  exchange.bytes_out += sent.body.size();
  flow_.session().send(*this, as_bytes(sent.body));
  flow_.session().end(*this, nullptr);
}

void H2ClientStream::abort(http::H2Code code, End end, std::string_view reason) {
  note_end(end, reason);
  response_over_ = true;
  exchange_->cancel();
  flow_.session().reset(*this, code);
  flow_.ready(*this);
}

void H2ClientStream::end_if_gone(uint64_t now_ms, uint64_t since_ms) {
  if (response_over_ || closed_ || !exchange_->gone(now_ms, since_ms)) return;
  abort(http::H2Code::cancel, End::drain, {});
}

void H2ClientStream::note_end(End end, std::string_view reason) {
  if (end_noted_) return;
  end_noted_ = true;
  exchange_->end = end;
  exchange_->reason = std::string(reason);
}

void H2ClientStream::on_closed(http::H2Code code) {
  deadline_.disarm();
  bool complete = response_over_ && end_sent();
  if (tunnel_ && head_sent_ && !complete && code == http::H2Code::no_error && end_sent() && end_received()) {
    closed_ = true;
    flow_.client().worker->io.loop.arm(deadline_, std::max(timeouts().client, config::Milliseconds(1000)));
    return;
  }
  if (!head_complete_) {
    if (!end_noted_) flow_.client().reject(Rejection::bad_request);
    note_end(End::bad_request, "malformed request");
  } else if (!complete) {
    bool left = code == http::H2Code::no_error || code == http::H2Code::cancel;
    note_end(left ? End::client_closed : End::client_cut, name_of(code));
  }
  finish();
}

void H2ClientStream::finish() {
  deadline_.disarm();
  exchange_->cancel();
  log_exchange(flow_.client(), *exchange_);
  flow_.remove(*this);
}

H2ClientStream::Wait H2ClientStream::waiting() const noexcept {
  if (id() == 0) return Wait::none;
  if (pending() > 0 || (end_queued() && !end_sent())) return Wait::write;
  if (!end_received() && exchange_->begun() && !response_over_ && exchange_->wants_body()) return Wait::body;
  return Wait::none;
}

config::Milliseconds H2ClientStream::time_for(Wait wait) const noexcept {
  const config::Timeouts& times = timeouts();
  if (wait == Wait::write) return times.client;
  return grpc_ || tunnel_ || head_sent_ ? times.tunnel : times.client;
}

void H2ClientStream::note_progress() noexcept { since_ms_ = flow_.client().worker->io.loop.now(); }

void H2ClientStream::on_deadline(Deadline&) {
  if (closed_) {
    finish();
    return;
  }
  if (id() == 0) return;
  Loop& loop = flow_.client().worker->io.loop;
  Wait wait = waiting();
  config::Milliseconds limit = time_for(wait);
  uint64_t waited = loop.now() - since_ms_;
  if (wait == Wait::none || limit.count() == 0 || waited < static_cast<uint64_t>(limit.count())) {
    bool waiting = wait != Wait::none && limit.count() > 0;
    config::Milliseconds left(limit.count() - static_cast<int64_t>(waited));
    loop.arm(deadline_, waiting ? std::min(left, look_again()) : look_again());
    return;
  }
  flow_.client().reject(Rejection::timeout);
  if (wait == Wait::body && !head_sent_) {
    exchange_->cancel();
    refuse(408, End::client_timeout, "request body");
    loop.arm(deadline_, limit);
    return;
  }
  abort(http::H2Code::cancel, End::client_timeout, "no progress");
}

}  // namespace sallyport
