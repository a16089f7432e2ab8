#include "layers/terminate/h1_leg.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "http/h1_writer.h"
#include "upstream/protocol_hint.h"

namespace sallyport {
namespace {

constexpr int kMostInterims = 64;  // 1xx answers to one request

}  // namespace

void H1Leg::attach(ServerConnection&& connection, http::ResponseHead& response, http::HeaderList& trailers) {
  connection_ = std::move(connection);
  connection_.transport->set_handler(this);
  response_ = &response;
  trailers_ = &trailers;
  reader_ = http::H1ResponseReader();
  partial_.clear();
  request_sent_ = upgrade_ = raw_ = half_closed_ = end_wanted_ = got_bytes_ = saw_tls_ = reusable_ = false;
  interims_ = 0;
}

ServerConnection H1Leg::detach() noexcept {
  connection_.transport->set_handler(nullptr);
  return std::move(connection_);  // which owns nothing then
}

void H1Leg::send_head(const http::RequestHead& request, bool upgrade, std::string& scratch) {
  reader_.expect(request.is_head());
  chunked_ = request.body == http::Body::chunked;
  upgrade_ = upgrade;
  request_sent_ = upgrade;  // there is no body, and what follows is no part of the request
  append_request_head(scratch, request, upgrade);
  connection_.transport->write(as_bytes(scratch));
  scratch.clear();
}

void H1Leg::send_body(Bytes piece, std::string& scratch) {
  if (piece.empty()) return;
  if (!chunked_ || raw_) {
    connection_.transport->write(piece);
    return;
  }
  http::append_chunk_prefix(scratch, piece.size());
  connection_.transport->write(as_bytes(scratch), piece);
  connection_.transport->write(as_bytes("\r\n"));
  scratch.clear();
}

void H1Leg::send_end(const http::HeaderList& trailers, std::string& scratch) {
  request_sent_ = true;
  if (raw_ || upgrade_) {
    end_wanted_ = true;
    connection_.transport->end_write();
    return;
  }
  if (!chunked_) return;
  http::append_last_chunk(scratch, trailers);
  connection_.transport->write(as_bytes(scratch));
  scratch.clear();
}

bool H1Leg::can_progress() const noexcept {
  const Transport& transport = *connection_.transport;
  return half_closed_ ? end_wanted_ && transport.write_ended() : transport.can_read();
}

bool H1Leg::pump() {
  // A server that answers early and stops reading is still heard: a failed write ends nothing by itself.
  connection_.transport->flush();
  bool done = half_closed_ || read_all();
  if (!attached()) return done;
  Transport& transport = *connection_.transport;
  transport.flush();  // what waited for the 101
  if (half_closed_) {
    if (transport.failed() || transport.write_failed()) {
      fail(Kind::cut, "the server cut the connection", transport.error().text());
    } else if (end_wanted_ && transport.write_ended()) {
      owner_.leg_ended();
    }
  }
  return done;
}

bool H1Leg::read_all() {
  Transport& transport = *connection_.transport;
  const size_t quantum = transport.io().quantum();
  size_t budget = quantum;
  for (size_t most; (most = owner_.leg_may_read()) != 0 && transport.can_read();) {
    if (budget == 0) return false;
    switch (transport.read(std::min(most, quantum))) {
      case Transport::Read::again: return true;
      case Transport::Read::data: {
        Bytes bytes = transport.bytes();
        budget -= std::min(budget, bytes.size());
        got_bytes_ = true;
        if (!feed(bytes)) return true;
        break;
      }
      case Transport::Read::eof:
        // A reset that a write has met first: the socket tells it once, and a read behind it sees an orderly end.
        if (transport.write_failed() && transport.error().sys == ECONNRESET) {
          fail(Kind::cut, "the server cut the connection", transport.error().text());
        } else {
          end_of_input();
        }
        return true;
      case Transport::Read::failed: {
        const Error& error = transport.error();
        fail(error.kind == Kind::tls ? Kind::tls : Kind::cut, "the server cut the connection", error.text());
        return true;
      }
    }
  }
  return true;
}

bool H1Leg::switch_protocols(Bytes rest) {
  connection_.seat.release();  // it will not come free for other requests
  owner_.leg_upgraded(rest);
  if (!attached()) return false;
  raw_ = true;
  if (!rest.empty()) owner_.leg_body(rest);
  return attached();
}

bool H1Leg::feed(Bytes input) {
  if (raw_) {
    owner_.leg_body(input);
    return attached();
  }
  std::string joined;
  if (!partial_.empty()) {
    partial_.append(as_text(input));
    joined.swap(partial_);
    input = as_bytes(joined);
  }
  for (;;) {
    switch (reader_.next(input, *response_, *trailers_)) {
      case http::H1Event::need_more: partial_.assign(as_text(input)); return true;
      case http::H1Event::head:
        if (response_->status == 101) {
          if (!upgrade_) {
            fail(Kind::protocol, "the server switched protocols unasked");
            return false;
          }
          return switch_protocols(input);
        }
        if (response_->interim() && ++interims_ > kMostInterims) {
          fail(Kind::limit, "the server sent too many interim responses");
          return false;
        }
        owner_.leg_head(response_->interim());
        if (!attached()) return false;
        break;
      case http::H1Event::body:
        owner_.leg_body(reader_.body());
        if (!attached()) return false;
        break;
      case http::H1Event::complete:
        if (response_->interim()) break;
        // Bytes behind the response belong to nobody: they must not meet the next request.
        reusable_ = request_sent_ && response_->keep_alive && input.empty() && !connection_.transport->write_failed();
        owner_.leg_ended();
        return false;
      case http::H1Event::error:
        saw_tls_ = is_tls_alert(input);
        fail(Kind::protocol, "the server broke a rule of HTTP", reader_.failure().why);
        return false;
    }
  }
}

bool H1Leg::end_of_input() {
  if (raw_) {
    half_closed_ = true;
    if (!end_wanted_) owner_.leg_half_closed();
    return false;
  }
  if (!partial_.empty()) {
    fail(Kind::cut, "the server closed within a response head");
    return false;
  }
  if (reader_.end_of_input() == http::H1Event::complete) {
    reusable_ = false;
    owner_.leg_ended();
    return false;
  }
  fail(Kind::cut, "the server closed early", reader_.failure().why);
  return false;
}

void H1Leg::abandon() noexcept {
  if (!attached()) return;
  connection_.transport->reset_on_close();
  close();
}

void H1Leg::fail(Kind kind, const char* what, std::string detail) {
  Error error{kind, Side::upstream, Retry::no, 0, what, std::move(detail)};
  if (!got_bytes_ && connection_.reused && kind == Kind::cut) error.retry = Retry::if_reused;
  owner_.leg_failed(error);
}

}  // namespace sallyport
