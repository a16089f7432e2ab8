#include "layers/terminate/h1_flow.h"

#include <utility>

#include "base/log.h"
#include "http/forwarding.h"
#include "http/h1_writer.h"
#include "layers/policies/headers.h"
#include "layers/terminate/exchange_log.h"
#include "layers/terminate/websocket.h"

namespace sallyport {
namespace {

constexpr int kRounds = 16;
constexpr config::Milliseconds kLastWord{500};  // for a first request, while stopping

}  // namespace

H1Flow::H1Flow(Client& client, std::string client_rule)
    : Flow(client), client_rule_(std::move(client_rule)), pinned_(1), deadline_(*this) {}

H1Flow::~H1Flow() = default;

const config::Timeouts& H1Flow::timeouts() const noexcept {
  return last_service_ ? last_service_->config.timeouts : client_.listener->timeouts;
}

void H1Flow::start() {
  client_.transport->set_handler(this);
  pump();
}

void H1Flow::on_io() {
  if (!gives_way()) pump();
}

size_t H1Flow::may_receive() const {
  const Transport& client = *client_.transport;
  return client.congested() || client.write_failed() ? 0 : IoContext::kQuantum;
}

void H1Flow::pump() {
  if (pumping_ || ended_) return;
  pumping_ = true;
  active_ms_ = client_.worker->io.loop.now();
  bool again = false;
  int round = 0;
  const Transport& client = *client_.transport;
  const uint64_t most = client.moved() + client_.worker->io.quantum();
  while (!ended_ && step(again) && !again) again = ++round == kRounds || client.moved() >= most;
  pumping_ = false;
  if (ended_) return;
  if (again) client_.worker->io.loop.give_way(*this);
  rearm();
}

bool H1Flow::step(bool& again) {
  bool more = false;
  if (exchange_ && exchange_->begun() && !response_over_ && !cut_) {
    if (!exchange_->pump()) again = true;
    if (tunnel_) {
      deadline_.disarm();
      tunnel_->start();
      return false;
    }
    write_reply({});
  }
  // The end of the connection goes along with the last of the answer: one write, one segment.
  if (response_over_ && exchange_ && ends_connection()) client_.transport->end_write(everything_read());
  if (!client_.transport->flush()) {
    client_gone(End::client_cut, client_.transport->error().text());
    return false;
  }
  if (cut_) {
    cut(exchange_->end, exchange_->reason);
    return false;
  }
  if (closing_) {
    if (client_.transport->write_ended()) {
      ended_ = true;
      client_.end();
    }
    return false;
  }
  if (response_over_) {
    // The end of the request may be among what was read while the server had enough.
    if (!request_done_ && !close_after_ && !input_.empty() && !input_incomplete_) process(as_bytes(input_));
    finish_exchange();
    if (ended_ || closing_) return false;
    more = true;
  }
  // The leg stopped reading because the client's queue was full, and the flush has made room: no event will tell.
  if (exchange_ && exchange_->can_progress() && !response_over_ && may_receive() != 0) more = true;
  if (may_read()) {
    if (read_client()) more = true;
  } else if (client_.transport->broken()) {
    client_gone(End::client_cut, "reset");
  }
  return more && !ended_;
}

bool H1Flow::may_read() const noexcept {
  if (closing_ || response_over_ || tunnel_) return false;
  if (!exchange_) return !client_.transport->congested();
  if (request_done_) return false;
  return !exchange_->begun() || exchange_->wants_body();
}

bool H1Flow::read_client() {
  if (!input_.empty() && !input_incomplete_) {
    process(as_bytes(input_));
    return true;
  }
  switch (client_.transport->read(client_.worker->io.quantum())) {
    case Transport::Read::again: return false;
    case Transport::Read::data:
      if (input_.empty()) {
        process(client_.transport->bytes());
      } else {
        input_.append(as_text(client_.transport->bytes()));
        process(as_bytes(input_));
      }
      return true;
    case Transport::Read::eof:
      if (!exchange_) {
        close_when_sent(true);  // it may have ended its side behind a request and still be reading the answer
      } else if (raw_) {
        request_done_ = true;
        exchange_->send_end();
      } else {
        client_gone(End::client_closed, "closed within a request");
      }
      return false;
    case Transport::Read::failed: {
      const Error& error = client_.transport->error();
      if (exchange_) {
        client_gone(End::client_cut, error.text());
      } else {
        log::debug("client {}: {}, between requests", client_.peer.ip_text(), error.text());
        if (error.kind == Kind::cut) {
          close_when_sent(true);  // a FIN without close_notify: as above
        } else {
          ended_ = true;
          client_.end();
        }
      }
      return false;
    }
  }
  return false;
}

// rest may be the end of input_ itself: then only what was dealt with goes.
void H1Flow::keep_input(Bytes rest) {
  const auto* own = reinterpret_cast<const uint8_t*>(input_.data());
  if (rest.empty()) {
    std::string().swap(input_);
  } else if (input_.empty() || rest.data() < own || rest.data() > own + input_.size()) {
    input_.assign(as_text(rest));
  } else {
    input_.erase(0, static_cast<size_t>(rest.data() - own));
  }
}

void H1Flow::process(Bytes input) {
  if (!exchange_) {
    exchange_ = ExchangePtr(client_.worker->exchanges.take(), ExchangeReturner{&client_.worker->exchanges});
    exchange_->started_us = client_.worker->io.loop.turn_began_us();
    exchange_->client_address = client_.peer;
    request_done_ = head_sent_ = response_over_ = chunked_out_ = close_after_ = false;
  }
  input_incomplete_ = false;
  if (raw_) {
    exchange_->bytes_in += input.size();
    exchange_->send_body(input);
    keep_input({});
    return;
  }
  for (;;) {
    size_t before = input.size();
    http::H1Event event = reader_.next(input, exchange_->request, exchange_->request_trailers);
    exchange_->bytes_in += before - input.size();
    switch (event) {
      case http::H1Event::need_more:
        input_incomplete_ = !input.empty();
        // Only empty lines so far: no request has begun.
        if (input.empty() && reader_.idle() && !exchange_->begun()) exchange_.reset();
        keep_input(input);
        return;
      case http::H1Event::head:
        on_head();
        // Answered without a server: what is left of the request is dealt with at the end of the response.
        if (ended_ || response_over_ || cut_) {
          if (response_over_ && exchange_->request.body == http::Body::none) continue;
          keep_input(input);
          return;
        }
        break;
      case http::H1Event::body:
        exchange_->send_body(reader_.body());
        // Without input left, the reader still has to say whether that was the end.
        if (!input.empty() && !exchange_->wants_body()) {
          keep_input(input);
          return;
        }
        break;
      case http::H1Event::complete:
        request_done_ = true;
        // What follows a request to switch protocols may belong to the new one: that has no end yet.
        if (exchange_->begun() && !exchange_->request.wants_upgrade) exchange_->send_end();
        keep_input(input);
        return;
      case http::H1Event::error: {
        const http::H1Failure& failure = reader_.failure();
        client_.reject(Rejection::bad_request);
        keep_input({});
        if (response_over_) {
          close_after_ = true;  // answered already: what is wrong with the rest only ends the connection
          return;
        }
        if (exchange_->begun()) {
          // The server has part of the request: it must not take that for the whole.
          exchange_->cancel();
        }
        if (head_sent_) {
          cut(End::bad_request, failure.why);
          return;
        }
        close_after_ = true;
        refuse(failure.status, End::bad_request, failure.why);
        return;
      }
    }
  }
}

void H1Flow::on_head() {
  ++requests_;
  const http::Reply* answer = dispatch(client_, *exchange_, client_rule_);
  if (exchange_->service && exchange_->service.get() != last_service_.get()) last_service_ = exchange_->service;
  if (answer) {
    respond(*answer);
    return;
  }
  pinned_.offer(*exchange_);
  exchange_->begin(client_, *this, exchange_->request.wants_upgrade);
}

void H1Flow::refuse(int status, End end, std::string_view reason) {
  exchange_->end = end;
  exchange_->reason = reason;
  respond(http::error_reply(status));
}

void H1Flow::respond(const http::Reply& reply) {
  Exchange& exchange = *exchange_;
  if (exchange.request.body != http::Body::none && !request_done_) close_after_ = true;
  if (!exchange.request.keep_alive || client_.draining() || draining_) close_after_ = true;
  exchange.status = reply.head.status;
  std::string& out = client_.worker->reply;
  append_response_head(out, reply.head, {.close = close_after_, .http10 = exchange.request.version_minor == 0});
  if (!exchange.request.is_head()) out += reply.body;
  write_reply({});
  head_sent_ = true;
  response_over_ = true;
}

// Writes what waits in the worker's reply buffer, with a piece of the body behind it.
void H1Flow::write_reply(Bytes piece) {
  std::string& head = client_.worker->reply;
  if (head.empty() && piece.empty()) return;
  if (exchange_) exchange_->bytes_out += head.size() + piece.size();
  client_.transport->write(as_bytes(head), piece);
  head.clear();
}

void H1Flow::on_response_head(Exchange& exchange, bool interim) {
  http::ResponseHead& response = exchange.response;
  bool http10 = exchange.request.version_minor == 0;
  if (interim) {
    if (http10) return;  // RFC 9110 section 15.2: a 1.0 client does not know them
    forward_response(response, false);
    append_response_head(client_.worker->reply, response, {});
    return;
  }
  forward_response(response, false);
  apply(exchange.service->config.response_headers, response.fields);
  if (response.body == http::Body::until_close && !http10) response.body = http::Body::chunked;
  chunked_out_ = response.body == http::Body::chunked && !http10;
  bool unframed = http10 && (response.body == http::Body::chunked || response.body == http::Body::until_close);
  if (!exchange.request.keep_alive || unframed || client_.draining() || draining_) close_after_ = true;
  append_response_head(client_.worker->reply, response, {.close = close_after_, .http10 = http10});
  exchange.status = response.status;
  head_sent_ = true;
}

void H1Flow::on_response_body(Exchange&, Bytes piece) {
  if (piece.empty()) return;
  std::string& head = client_.worker->reply;
  if (chunked_out_) {
    http::append_chunk_prefix(head, piece.size());
    write_reply(piece);
    head = "\r\n";
  } else {
    write_reply(piece);
  }
}

void H1Flow::on_response_end(Exchange& exchange) {
  if (chunked_out_) http::append_last_chunk(client_.worker->reply, exchange.response_trailers);
  write_reply({});
  response_over_ = true;
}

void H1Flow::on_failed(Exchange&, int status) {
  client_.worker->reply.clear();
  if (head_sent_) {
    cut_ = true;
    return;
  }
  respond(http::error_reply(status));
}

void H1Flow::on_upgraded(Exchange& exchange, Bytes rest) {
  bool over_h2 = !exchange.has_connection();
  if (over_h2) make_upgrade_response(exchange.request, exchange.response);
  forward_response(exchange.response, true);
  apply(exchange.service->config.response_headers, exchange.response.fields);
  append_response_head(client_.worker->reply, exchange.response, {.close = false, .http10 = false, .upgrade = true});
  exchange.status = 101;
  head_sent_ = true;
  if (over_h2) {
    write_reply({});
    raw_ = true;
    request_done_ = chunked_out_ = false;
    close_after_ = true;
    return;
  }
  write_reply(rest);
  ServerConnection server = exchange.take_connection();
  server.transport->write(as_bytes(input_));
  exchange.bytes_in += input_.size();
  std::string().swap(input_);
  tunnel_ = std::make_unique<Tunnel>(client_, std::move(server), exchange.service->config.timeouts.tunnel,
                                     static_cast<Tunnel::Owner&>(*this));
}

void H1Flow::on_half_closed(Exchange&) {
  write_reply({});
  client_.transport->end_write();
}

bool H1Flow::ends_connection() const noexcept { return close_after_ || draining_ || client_.draining(); }

bool H1Flow::everything_read() const noexcept { return request_done_ && input_.empty(); }

void H1Flow::finish_exchange() {
  bool keep = request_done_ && !ends_connection();
  bool all_read = everything_read();
  exchange_->release();
  if (exchange_->begun()) pinned_.keep(*exchange_);
  log_exchange(client_, *exchange_);
  exchange_.reset();
  response_over_ = head_sent_ = request_done_ = false;
  answered_ = true;
  waiting_for_ = kNothing;
  if (!keep) close_when_sent(all_read);
}

void H1Flow::close_when_sent(bool all_read) {
  if (!all_read) {
    ended_ = true;
    client_.end_lingering();
    return;
  }
  closing_ = true;
  client_.transport->end_write(true);
  if (client_.transport->write_ended() || client_.transport->write_failed()) {
    ended_ = true;
    client_.end();
  }
}

// The exchange is over, one way or the other: logs it and gives it back.
void H1Flow::close_exchange(End end, std::string_view reason) {
  if (!exchange_) return;
  exchange_->cancel();
  exchange_->end = end;
  exchange_->reason = std::string(reason);
  log_exchange(client_, *exchange_);
  exchange_.reset();
}

void H1Flow::cut(End end, std::string_view reason) {
  close_exchange(end, reason);
  ended_ = true;
  client_.transport->reset_on_close();
  client_.end();
}

void H1Flow::client_gone(End end, std::string_view reason) {
  close_exchange(end, reason);
  ended_ = true;
  client_.end();
}

void H1Flow::on_tunnel_over(End end, std::string_view reason) {
  exchange_->bytes_in += tunnel_->from_client();
  exchange_->bytes_out += tunnel_->from_server();
  exchange_->end = end;
  exchange_->reason = std::string(reason);
  log_exchange(client_, *exchange_);
  tunnel_->close();
  exchange_.reset();
  ended_ = true;
  client_.end();
}

void H1Flow::drain() {
  draining_ = true;
  if (ended_ || tunnel_ || exchange_ || closing_) return;
  if (waiting_for_ == kFirstRequest) {
    // It has just shaken hands: what it came for is on its way.
    client_.worker->io.loop.arm(deadline_, kLastWord);
  } else {
    close_when_sent(input_.empty());
  }
}

void H1Flow::abort(End why) {
  if (ended_) return;
  if (tunnel_) {
    if (why == End::killed) tunnel_->server().transport->reset_on_close();
    on_tunnel_over(why, {});
  } else {
    cut(why, {});
  }
}

void H1Flow::describe(SessionInfo& info) const {
  info.protocol = "h1";
  info.service = last_service_.get();
  info.requests = requests_;
  info.active_ms = active_ms_;
  info.state = closing_ ? "closing" : exchange_ ? "open" : "idle";
  if (exchange_) {
    info.host = exchange_->host;
    info.path = exchange_->path;
    info.server = exchange_->server_label();
  }
  if (!tunnel_) return;
  info.endpoint = tunnel_->server().load.endpoint();
  info.active_ms = tunnel_->last_moved_ms();
}

void H1Flow::server_down(const Endpoint& endpoint) {
  if (ended_) return;
  if (!tunnel_) {
    if (exchange_) exchange_->server_down(endpoint);
  } else if (tunnel_->server().load.endpoint() == &endpoint) {
    client_.transport->reset_on_close();
    on_tunnel_over(End::server_cut, "the server is down");
  }
}

void H1Flow::followed() {
  if (last_service_.retired()) last_service_.reset();
  pinned_.forget_retired();
  if (!same_rule(client_, client_rule_)) drain();
}

void H1Flow::end_what_is_gone(uint64_t since_ms) {
  if (ended_ || !exchange_ || !exchange_->gone(client_.worker->io.loop.now(), since_ms)) return;
  abort(End::drain);
}

}  // namespace sallyport
