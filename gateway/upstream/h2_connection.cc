#include "upstream/h2_connection.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "upstream/h2_pool.h"

namespace sallyport {
namespace {

constexpr int kWriteRounds = 16;
constexpr uint32_t kStreamWindow = 128 * 1024;
constexpr uint32_t kConnectionWindow = 16 * 1024 * 1024;
// At once, whatever the server allows: clients that do not read keep a stream's window each, and all of them together
// must not use up the connection's, which is everybody's.
constexpr size_t kMostStreams = kConnectionWindow / kStreamWindow;

http::H2Limits limits_towards_servers() {
  http::H2Limits limits;
  limits.stream_window = kStreamWindow;
  limits.connection_window = kConnectionWindow;
  limits.fields.list_bytes = 64 * 1024;
  limits.fields.count = 300;
  limits.resets = 10'000;  // a server that refuses under load is retried elsewhere, and is no attacker
  limits.control = 10'000;
  return limits;
}

}  // namespace

H2Connection::H2Connection(H2Pool& pool, TransportPtr transport, std::string_view key, uint32_t generation,
                           std::unique_ptr<H2Dial> dial)
    : pool_(pool),
      transport_(std::move(transport)),
      session_(http::H2Session::Role::client, *this, limits_towards_servers(), pool.io().loop.now()),
      key_(key),
      generation_(generation),
      deadline_(*this),
      dial_(std::move(dial)),
      heard_ms_(pool.io().loop.now()) {
  transport_->set_handler(this);
  pool_.io().loop.arm(deadline_, kSettings);
  wake();
}

H2Connection::~H2Connection() = default;

bool H2Connection::has_room() const noexcept {
  return settings_received() && !retired_ && !closed_ && !session_.failed() && !session_.goaway_received() &&
         !transport_->hangup() && session_.streams_allowed() > waiting_.size() &&
         session_.streams() + waiting_.size() < kMostStreams;
}

bool H2Connection::open(Stream& stream, const http::RequestHead& request, std::string_view connect_protocol,
                        bool ended) {
  if (closed_ || !session_.open(stream, request, tls() ? "https" : "http", connect_protocol, ended)) return false;
  if (settings_received()) deadline_.disarm();
  wake();
  return true;
}

void H2Connection::send(Stream& stream, Bytes piece) {
  if (closed_) return;
  session_.send(stream, piece);
  wake();
}

void H2Connection::end(Stream& stream, const http::HeaderList* trailers) {
  if (closed_) return;
  session_.end(stream, trailers);
  wake();
}

void H2Connection::consume(Stream& stream, size_t count) {
  if (closed_ || stream.id() == 0) return;
  session_.consume(stream, count);
  if (session_.wants_write()) wake();
}

void H2Connection::reset(Stream& stream, http::H2Code code) {
  if (closed_) return;
  session_.reset(stream, code);
  wake();
}

void H2Connection::forget(Stream& stream) {
  static_cast<ListHook<Stream>&>(stream).unlink();
  stop_waiting(stream);
  if (closed_) return;
  session_.forget(stream);
  wake();
}

void H2Connection::wait_for_settings(Stream& stream) { waiting_.push_back(&stream); }

void H2Connection::stop_waiting(Stream& stream) { std::erase(waiting_, &stream); }

void H2Connection::suspect(uint64_t since_ms) noexcept {
  if (heard_ms_ < since_ms) retired_ = true;
}

void H2Connection::leave() {
  closed_ = true;
  deadline_.disarm();
  static_cast<ListHook<Deadline>&>(deadline_).unlink();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  transport_.reset();
}

void H2Connection::wake() {
  if (!pumping_) pool_.io().loop.run_soon(*this);
}

void H2Connection::pump() {
  if (pumping_ || closed_) return;
  pumping_ = true;
  bool again = false;
  bool alive = read(again);
  tell_streams();
  if (!closed_) {
    write();
    tell_streams();
  }
  pumping_ = false;
  if (closed_) return;
  if (!alive || transport_->write_failed() || session_.failed()) {
    over();
    return;
  }
  if (again || (session_.wants_write() && !transport_->congested())) pool_.io().loop.give_way(*this);
  look_idle();
}

bool H2Connection::read(bool& again) {
  size_t budget = transport_->io().quantum();
  while (transport_->can_read()) {
    if (budget == 0) {
      again = true;
      return true;
    }
    switch (transport_->read()) {
      case Transport::Read::again: return true;
      case Transport::Read::data: {
        Bytes bytes = transport_->bytes();
        budget -= std::min(budget, bytes.size());
        heard_ms_ = pool_.io().loop.now();
        if (session_.failed()) break;  // the rest goes nowhere
        if (!session_.receive(bytes, heard_ms_))
          log::debug("server connection: HTTP/2: {} ({})", session_.failure(), name_of(session_.failure_code()));
        break;
      }
      case Transport::Read::eof:
      case Transport::Read::failed: return false;
    }
  }
  return true;
}

void H2Connection::write() {
  if (!transport_->flush()) return;
  const uint64_t most = transport_->sent() + transport_->io().quantum();
  for (int round = 0; round < kWriteRounds && transport_->sent() < most && !transport_->congested() && session_.wants_write();
       ++round) {
    {
      GatheredWrites gather(*transport_);
      gather_ = &gather;
      session_.produce(Transport::kHighMark - transport_->pending());
      gather_ = nullptr;
    }
    if (!transport_->flush()) return;
  }
}

void H2Connection::tell_streams() {
  while (Stream* stream = touched_.pop_front()) {
    stream->on_event();
    if (closed_) return;
  }
}

void H2Connection::over() {
  closed_ = losing_ = true;
  pool_.drop(*this);  // first: whoever tries again must not find it
  session_.close_all();
  if (auto dial = std::move(dial_)) {
    Error error{Kind::cut, Side::upstream, Retry::other_endpoint, 0, "the server sent no SETTINGS of HTTP/2", {}};
    dial->end(&error);
  }
  for (Stream* stream : std::exchange(waiting_, {})) {
    stream->on_closed(http::H2Code::internal_error, false, true);
    touched_.push_back(*stream);
  }
  List<Stream> touched;
  touched_.splice_to(touched);
  while (Stream* stream = touched.pop_front()) stream->on_event();
}

void H2Connection::look_idle() {
  if (!settings_received()) return;
  if (session_.streams() > 0 || !waiting_.empty()) {
    deadline_.disarm();
    return;
  }
  if (retired_ || session_.goaway_received()) {
    session_.shut(http::H2Code::no_error);
    write();
    over();
    return;
  }
  if (!deadline_.armed()) pool_.io().loop.arm(deadline_, kIdle);
}

void H2Connection::on_deadline(Deadline&) {
  if (closed_) return;
  if (!settings_received()) {
    log::debug("server connection: HTTP/2: no SETTINGS");
    session_.fail(http::H2Code::settings_timeout, "no SETTINGS");
    write();
    over();
    return;
  }
  if (session_.streams() > 0 || !waiting_.empty()) return;
  session_.shut(http::H2Code::no_error);
  write();
  over();
}

void H2Connection::touch(http::H2Stream& stream) noexcept { touched_.push_back(static_cast<Stream&>(stream)); }

void H2Connection::h2_head(http::H2Stream& stream, bool) {
  static_cast<Stream&>(stream).on_head();
  touch(stream);
}

void H2Connection::h2_data(http::H2Stream& stream, Bytes piece) {
  static_cast<Stream&>(stream).on_data(piece);
  touch(stream);
}

void H2Connection::h2_end(http::H2Stream& stream) {
  static_cast<Stream&>(stream).on_end();
  touch(stream);
}

void H2Connection::h2_sent(http::H2Stream& stream) {
  static_cast<Stream&>(stream).on_sent();
  touch(stream);
}

void H2Connection::h2_closed(http::H2Stream& stream, http::H2Code code, bool unprocessed) {
  static_cast<Stream&>(stream).on_closed(code, unprocessed, losing_);
  touch(stream);
}

void H2Connection::h2_changed() {
  if (!session_.settings_received()) return;
  deadline_.disarm();
  if (auto dial = std::move(dial_)) dial->end(nullptr);
  for (Stream* stream : std::exchange(waiting_, {})) {
    stream->on_settings();
    touched_.push_back(*stream);
  }
}

void H2Connection::h2_write(Bytes head, Bytes payload) { gather_->add(head, payload); }

}  // namespace sallyport
