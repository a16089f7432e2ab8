#include "layers/terminate/h2_leg.h"

#include <utility>

namespace sallyport {
namespace {

constexpr int kMostInterims = 64;  // 1xx answers to one request

}  // namespace

void H2Leg::attach(ServerConnection&& connection, http::ResponseHead& head, http::HeaderList& trailer_fields,
                   uint64_t now_ms) {
  server_ = std::move(connection);
  connection_ = server_.h2;
  attached_ = true;
  response = final_ = &head;
  trailers = &trailer_fields;
  request_ = nullptr;
  started_ms_ = now_ms;
  progress_ = 0;
  interims_seen_ = 0;
  code_ = http::H2Code::no_error;
  failure_ = "";
  upgrade_ = request_ended_ = head_ready_ = head_told_ = false;
  ended_ = half_closed_ = closed_ = unprocessed_ = lost_ = leaving_ = false;
}

void H2Leg::send_head(const http::RequestHead& head, bool upgrade, std::string&) {
  upgrade_ = upgrade;
  if (upgrade) {
    request_ = &head;
    if (connection_->settings_received()) {
      open_tunnel();
    } else {
      connection_->wait_for_settings(*this);
    }
    return;
  }
  request_ended_ = head.body == http::Body::none;
  if (!connection_->open(*this, head, {}, request_ended_)) on_closed(http::H2Code::refused_stream, true, false);
}

void H2Leg::open_tunnel() {
  if (!connection_->extended_connect()) {
    failure_ = "the server takes no WebSocket over HTTP/2 (RFC 8441)";
    closed_ = true;
    connection_ = nullptr;  // it knows of no stream, and may die before this is looked at
    return;
  }
  std::string_view protocol = request_->connect_protocol;
  if (protocol.empty()) protocol = request_->fields.find(http::HeaderId::upgrade).value_or("");
  if (!connection_->open(*this, *request_, protocol, false)) on_closed(http::H2Code::refused_stream, true, false);
}

void H2Leg::send_body(Bytes piece, std::string&) {
  if (closed_ || piece.empty()) return;
  progress_ += piece.size();
  connection_->send(*this, piece);
}

void H2Leg::send_end(const http::HeaderList& trailer_fields, std::string&) {
  if (closed_ || request_ended_) return;
  request_ended_ = true;
  connection_->end(*this, trailer_fields.empty() ? nullptr : &trailer_fields);
}

bool H2Leg::congested() const noexcept { return pending() >= Transport::kHighMark; }

bool H2Leg::can_progress() const noexcept {
  return closed_ || !in_.empty() || !interims_.empty() || head_ready_ != head_told_ ||
         (ended_ && !(half_closed_ && !both_ended()));
}

bool H2Leg::pump() {
  for (size_t i = 0; i < interims_.size(); ++i) {
    std::swap(*final_, interims_[i]);
    owner_.leg_head(true);
    if (!attached()) return true;
    std::swap(*final_, interims_[i]);
  }
  interims_.clear();
  if (head_ready_ && !head_told_) {
    tell_head();
    if (!attached()) return true;
  }
  while (!in_.empty() && owner_.leg_may_read()) {
    Bytes front = in_.front();
    owner_.leg_body(front);
    if (!attached()) return true;
    in_.consume(front.size());
    if (connection_ != nullptr) connection_->consume(*this, front.size());
  }
  if (!in_.empty()) return true;
  if (ended_ && head_told_) {
    if (!upgrade_ || both_ended()) {
      owner_.leg_ended();
    } else if (!half_closed_) {
      half_closed_ = true;
      owner_.leg_half_closed();
    }
  } else if (closed_) {
    fail();
  }
  return true;
}

void H2Leg::tell_head() {
  head_told_ = true;
  if (upgrade_ && final_->status >= 200 && final_->status < 300) {
    owner_.leg_upgraded({});
  } else {
    upgrade_ = false;
    owner_.leg_head(false);
  }
}

void H2Leg::on_head() {
  ++progress_;
  if (!final_->interim()) {
    head_ready_ = true;
    return;
  }
  if (++interims_seen_ > kMostInterims) {
    failure_ = "the server sent too many interim responses";
    closed_ = true;
    connection_->reset(*this, http::H2Code::enhance_your_calm);
    return;
  }
  interims_.push_back(std::exchange(*final_, {}));
}

void H2Leg::on_data(Bytes piece) {
  progress_ += piece.size();
  in_.append(piece);
}

void H2Leg::on_closed(http::H2Code code, bool unprocessed, bool lost) {
  closed_ = true;
  leaving_ = connection_ != nullptr && connection_->goes_away();
  connection_ = nullptr;  // it may die before this is looked at
  code_ = code;
  unprocessed_ = unprocessed;
  lost_ = lost;
}

void H2Leg::fail() {
  Error error{Kind::cut, Side::upstream, Retry::no, 0, "the server reset the stream", name_of(code_)};
  if (failure_[0] != '\0') {
    error = Error{Kind::limit, Side::upstream, Retry::no, 0, failure_, {}};
  } else if (unprocessed_) {
    error = Error{Kind::cut, Side::upstream, Retry::other_endpoint, 0, "the server refused the stream", {}};
  } else if (lost_) {
    error = Error{Kind::cut, Side::upstream, Retry::no, 0, "the server cut the connection", {}};
    if (!head_ready_ && server_.reused) error.retry = Retry::if_reused;
  } else if (code_ == http::H2Code::protocol_error || code_ == http::H2Code::flow_control_error) {
    error.kind = Kind::protocol;
  }
  owner_.leg_failed(error);
}

void H2Leg::suspect() noexcept {
  if (connection_ != nullptr) connection_->suspect(started_ms_);
}

void H2Leg::abandon() noexcept {
  if (!attached()) return;
  if (connection_ != nullptr) connection_->forget(*this);
  static_cast<ListHook<H2Connection::Stream>&>(*this).unlink();
  connection_ = nullptr;
  server_ = ServerConnection();
  attached_ = false;
  in_.clear();
  interims_.clear();
}

}  // namespace sallyport
