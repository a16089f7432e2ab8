#include "admin/connection.h"

#include "admin/resources.h"
#include "http/h1_writer.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kIdle{60'000};
constexpr milliseconds kRequest{10'000};  // from its first byte to its last
constexpr milliseconds kAnswer{120'000};  // handlers have times of their own
constexpr milliseconds kUnread{20'000};   // without progress
constexpr milliseconds kLast{2'000};  // a close while the client still sends would be a reset, and its answer lost
constexpr int kRounds = 32;
constexpr size_t kMostPending = 64 * 1024;  // with more than this unread no further request is looked at

}  // namespace

AdminConnection::AdminConnection(Owner& owner, TransportPtr transport, const Address& peer)
    : owner_(owner),
      transport_(std::move(transport)),
      peer_(peer_of(transport_->fd(), peer)),
      deadline_(*this),
      responder_(*this) {
  responder_.forget();
}

void AdminConnection::start() {
  transport_->set_handler(this);
  arm();
  pump();
}

void AdminConnection::close() {
  if (!transport_) return;
  responder_.forget();
  IoContext& io = transport_->io();
  transport_.reset();
  deadline_.disarm();
  static_cast<ListHook<AdminConnection>&>(*this).unlink();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  io.loop.bury(std::unique_ptr<Doomed>(this));
  owner_.closed(*this);
}

void AdminConnection::pump() {
  if (pumping_) return;
  pumping_ = true;
  int round = 0;
  while (transport_ && step())
    if (++round == kRounds) {
      transport_->io().loop.give_way(*this);  // others of the control thread have their turn, however much comes
      break;
    }
  pumping_ = false;
}

bool AdminConnection::step() {
  Transport& transport = *transport_;
  if (!transport.flush()) {
    close();
    return false;
  }
  if (transport.sent() != sent_) {
    sent_ = transport.sent();
    if (mode_ != Mode::reading) arm();  // a request does not buy itself time by reading the answers before it
  }
  if (mode_ == Mode::waiting) {
    if (transport.broken()) close();
    return false;
  }
  const bool reads = mode_ == Mode::idle || mode_ == Mode::reading;
  if (reads && transport.pending() >= kMostPending) return false;
  if (reads && !input_.empty() && !input_incomplete_) {
    process();
    return true;
  }
  if (ended_) {
    if (transport.pending() == 0) close();
    return false;
  }
  switch (transport.read()) {
    case Transport::Read::again: return false;
    case Transport::Read::eof: ended_ = true; return true;
    case Transport::Read::failed: close(); return false;
    case Transport::Read::data: break;
  }
  if (!reads) return true;
  input_.append(as_text(transport.bytes()));
  process();
  return true;
}

void AdminConnection::process() {
  Bytes input = as_bytes(input_);
  input_incomplete_ = false;
  if (mode_ == Mode::idle) set_mode(Mode::reading);
  while (mode_ == Mode::reading && !input_incomplete_) {
    switch (reader_.next(input, head_, trailers_)) {
      case http::H1Event::need_more:
        input_incomplete_ = true;
        if (input.empty() && reader_.idle()) set_mode(Mode::idle);
        break;
      case http::H1Event::head: on_head(); break;
      case http::H1Event::body: on_body(reader_.body()); break;
      case http::H1Event::complete: on_request(); break;
      case http::H1Event::error: refuse(reader_.failure().status, reader_.failure().why); break;
    }
    if (!transport_) return;
  }
  input_.erase(0, input_.size() - input.size());
  if (input_.empty()) input_incomplete_ = false;
}

void AdminConnection::on_head() {
  body_.clear();
  if (head_.body == http::Body::sized && head_.content_length > kMostBody) {
    refuse(413, "a body of more than 64 KiB");
    return;
  }
  if (head_.expect_continue && head_.body != http::Body::none)
    transport_->write(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
}

void AdminConnection::on_body(Bytes piece) {
  if (body_.size() + piece.size() > kMostBody) {
    refuse(413, "a body of more than 64 KiB");
    return;
  }
  body_.append(as_text(piece));
}

void AdminConnection::on_request() {
  const AdminPlace place = owner_.place();
  set_mode(Mode::waiting);
  responder_ = Responder(*this);
  const Responder responder = responder_;
  AdminRequest request;
  request.body = std::move(body_);
  request.peer = &peer_;
  body_.clear();
  owner_.handle(place, head_, std::move(request), responder);
}

// The rest of what came is of no use.
void AdminConnection::refuse(int status, std::string_view why) {
  head_.keep_alive = false;
  head_.method = "GET";
  set_mode(Mode::waiting);
  answer(error_answer(status, why));
}

void AdminConnection::write_head(int status, const AdminAnswer& answer, bool sized) {
  http::ResponseHead head;
  head.status = status;
  head.reason = http::reason_phrase(status);
  head.fields.add("Date", http::http_date());
  head.fields.add("Content-Type", answer.type);
  head.fields.add("Cache-Control", "no-store");
  head.fields.add("X-Content-Type-Options", "nosniff");
  head.fields.add("Content-Security-Policy", kPagePolicy);
  head.fields.add("X-Frame-Options", "DENY");
  head.fields.add("Referrer-Policy", "no-referrer");
  head.fields.add("Cross-Origin-Opener-Policy", "same-origin");
  head.fields.add("Cross-Origin-Resource-Policy", "same-origin");
  for (const auto& [name, value] : answer.fields) head.fields.set(name, value);
  head.body = sized ? http::Body::sized : http::Body::until_close;
  head.content_length = answer.body.size();
  std::string out;
  append_response_head(out, head, {.close = !head_.keep_alive, .http10 = head_.version_minor == 0});
  if (sized && !head_.is_head()) out += answer.body;
  transport_->write(as_bytes(out));
}

void AdminConnection::answer(const AdminAnswer& answer) {
  if (!transport_) return;
  write_head(answer.status, answer, true);
  if (head_.keep_alive) {
    set_mode(Mode::idle);
  } else {
    transport_->end_write();
    set_mode(Mode::closing);
  }
  pump();
}

void AdminConnection::begin_events() {
  if (!transport_) return;
  head_.keep_alive = false;
  write_head(200, text_answer(200, {}, "text/event-stream"), false);
  if (head_.is_head()) {
    responder_.forget();
    transport_->end_write();
    set_mode(Mode::closing);
  } else {
    set_mode(Mode::events);
  }
  pump();
}

void AdminConnection::send_event(std::string_view name, std::string_view data) {
  if (!transport_ || mode_ != Mode::events) return;
  std::string out;
  out.reserve(name.size() + data.size() + 32);
  out.append("event: ").append(name).append("\ndata: ").append(data).append("\n\n");
  transport_->write(as_bytes(out));
  if (transport_->pending() > kMostUnsent) transport_->flush();
  if (transport_->pending() > kMostUnsent) {
    transport_->reset_on_close();
    close();
    return;
  }
  pump();
}

void AdminConnection::set_mode(Mode mode) {
  mode_ = mode;
  arm();
}

void AdminConnection::arm() {
  milliseconds after = kIdle;
  switch (mode_) {
    case Mode::idle: after = transport_->pending() > 0 ? kUnread : kIdle; break;
    case Mode::reading: after = kRequest; break;
    case Mode::waiting: after = kAnswer; break;
    case Mode::events: after = kUnread; break;
    case Mode::closing: after = transport_->write_ended() ? kLast : kUnread; break;
  }
  transport_->io().loop.arm(deadline_, after);
}

void AdminConnection::on_deadline(Deadline&) {
  // An event stream is written to every two seconds: one that has nothing unsent is read.
  if (mode_ == Mode::events && transport_->pending() == 0) {
    arm();
    return;
  }
  close();
}

}  // namespace sallyport
