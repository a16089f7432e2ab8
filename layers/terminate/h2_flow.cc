#include "layers/terminate/h2_flow.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "layers/registry.h"

namespace sallyport {
namespace {

constexpr int kRounds = 16;
constexpr size_t kPinned = 8;
// Bytes that the streams of one connection may hold for their client before each gets less.
constexpr size_t kCrowd = 1024 * 1024;
// With more than this unsent nothing is read either: a client that does not take its answers gets no more to ask.
constexpr size_t kMostUnsent = 4 * Transport::kHighMark;
// Between the two GOAWAYs: at least a round trip (RFC 9113 section 6.8).
constexpr config::Milliseconds kLastCall{500};

enum Wait : uint8_t { kNothing, kFirstRequest, kKeepAlive, kHead, kClient, kDrain };

http::H2Limits limits_of(const config::Http2& settings) {
  http::H2Limits limits;
  limits.streams = settings.max_concurrent_streams;
  limits.stream_window = settings.stream_window;
  limits.connection_window = settings.connection_window;
  limits.fields.list_bytes = settings.max_header_list;
  limits.fields.count = settings.max_headers;
  limits.resets = settings.max_resets;
  limits.control = settings.max_control_frames;
  return limits;
}

}  // namespace

H2Flow::H2Flow(Client& client, std::string client_rule)
    : Flow(client),
      client_rule_(std::move(client_rule)),
      session_(http::H2Session::Role::server, *this, limits_of(client.listener->config.http2),
               client.worker->io.loop.now()),
      pinned_(kPinned),
      deadline_(*this) {}

H2Flow::~H2Flow() {
  // A session that ends by itself (its worker stops) leaves streams behind.
  while (!streams_.empty()) remove(*streams_.front());
}

const config::Timeouts& H2Flow::timeouts() const noexcept {
  return last_service_ ? last_service_->config.timeouts : client_.listener->timeouts;
}

void H2Flow::start() {
  client_.transport->set_handler(this);
  if (client_.draining()) drain();  // the first bytes, or the handshake, took until after the others were told
  pump();
}

void H2Flow::ready(H2ClientStream& stream) noexcept {
  if (ended_) return;
  ready_.push_back(stream);
  wake();
}

void H2Flow::wake() noexcept {
  if (!pumping_ && !ended_) client_.worker->io.loop.run_soon(*this);
}

bool H2Flow::crowded() const noexcept { return session_.buffered() > kCrowd; }

void H2Flow::remove(H2ClientStream& stream) {
  if (!stream.has_head()) --incomplete_;
  static_cast<ListHook<AllStreams>&>(stream).unlink();
  static_cast<ListHook<ReadyStreams>&>(stream).unlink();
  client_.worker->io.loop.bury(std::unique_ptr<Doomed>(&stream));
}

void H2Flow::pump() {
  if (pumping_ || ended_) return;
  pumping_ = true;
  active_ms_ = client_.worker->io.loop.now();
  bool again = false;
  int round = 0;
  const Transport& client = *client_.transport;
  const uint64_t most = client.moved() + client_.worker->io.quantum();
  while (!ended_ && step(again))
    if (++round == kRounds || client.moved() >= most) {
      again = true;
      break;
    }
  pumping_ = false;
  if (ended_) return;
  if (again) client_.worker->io.loop.give_way(*this);
  rearm();
}

bool H2Flow::step(bool& again) {
  pump_streams(again);
  write();
  if (client_.transport->write_failed()) {
    gone(End::client_cut, client_.transport->error().text());
    return false;
  }
  if (session_.failed()) {
    End how = timed_out_                                                   ? End::client_timeout
              : session_.failure_code() == http::H2Code::enhance_your_calm ? End::limit
                                                                           : End::bad_request;
    client_.reject(timed_out_          ? Rejection::timeout
                   : how == End::limit ? Rejection::flood
                                       : Rejection::bad_request);
    log_turned_away(client_, how, session_.failure());
    end_streams(how, session_.failure());
    client_.end_lingering();
    return false;
  }
  bool more = read();
  if (ended_) return false;
  if (!more && ready_.empty() && streams_.empty() && (shut_ || eof_ || session_.goaway_received()) &&
      !session_.wants_write() && client_.transport->pending() == 0) {
    ended_ = true;
    client_.end_lingering();
    return false;
  }
  return more || !ready_.empty() || (session_.wants_write() && !client_.transport->congested());
}

// Each stream once, or as many as bring so much that it should be sent first.
void H2Flow::pump_streams(bool& again) {
  List<H2ClientStream, ReadyStreams> now;
  ready_.splice_to(now);
  const size_t most = session_.buffered() + IoContext::kQuantum;
  while (session_.buffered() < most) {
    H2ClientStream* stream = now.pop_front();
    if (stream == nullptr) return;
    if (stream->pump()) continue;
    again = true;
    ready_.push_back(*stream);
  }
  ready_.splice_to(now);  // behind those who wait longer
  now.splice_to(ready_);
}

void H2Flow::write() {
  Transport& transport = *client_.transport;
  if (!transport.flush()) return;
  const uint64_t most = transport.sent() + client_.worker->io.quantum();
  for (int round = 0; round < kRounds && transport.sent() < most && !transport.congested() && session_.wants_write(); ++round) {
    {
      GatheredWrites gather(transport);
      gather_ = &gather;
      session_.produce(Transport::kHighMark - transport.pending());
      gather_ = nullptr;
    }
    if (!transport.flush()) return;
  }
}

bool H2Flow::read() {
  Transport& transport = *client_.transport;
  if (eof_ || transport.pending() >= kMostUnsent) {
    if (transport.broken()) gone(End::client_cut, "reset");
    return false;
  }
  if (!transport.can_read()) return false;
  switch (transport.read(client_.worker->io.quantum())) {
    case Transport::Read::again: return false;
    case Transport::Read::data: {
      Bytes bytes = transport.bytes();
      session_.receive(bytes, client_.worker->io.loop.now());
      return true;
    }
    case Transport::Read::eof:
      // It may have ended its side behind its last request and still be reading: those that are complete are answered.
      eof_ = true;
      for (H2ClientStream* stream = streams_.front(); stream != nullptr; stream = streams_.next(*stream))
        if (!stream->end_received()) {
          stream->note_end(End::client_closed, "closed within a request");
          session_.reset(*stream, http::H2Code::cancel);
        }
      return true;
    case Transport::Read::failed: {
      const Error& error = transport.error();
      if (streams_.empty()) log::debug("client {}: {}, between requests", client_.peer.ip_text(), error.text());
      gone(End::client_cut, error.text());
      return false;
    }
  }
  return false;
}

// The connection is of no use any more.
void H2Flow::gone(End end, std::string_view reason) {
  end_streams(end, reason);
  client_.end();
}

void H2Flow::end_streams(End end, std::string_view reason) {
  ended_ = true;
  for (H2ClientStream* stream = streams_.front(); stream != nullptr; stream = streams_.next(*stream))
    stream->note_end(end, reason);
  session_.close_all();
  // Tunnels that the session has no stream of any more.
  while (H2ClientStream* stream = streams_.front()) stream->on_closed(http::H2Code::internal_error);
}

void H2Flow::drain() {
  if (ended_ || draining_) return;
  draining_ = true;
  session_.announce_shutdown();
  pump();
}

void H2Flow::abort(End why) {
  if (ended_) return;
  client_.transport->reset_on_close();
  gone(why, {});
}

void H2Flow::describe(SessionInfo& info) const {
  info.protocol = "h2";
  info.service = last_service_.get();
  info.requests = heads_;
  info.active_ms = active_ms_;
  const H2ClientStream* told = nullptr;
  for (H2ClientStream* stream = streams_.front(); stream != nullptr; stream = streams_.next(*stream)) {
    ++info.streams;
    const bool fits = stream->service() && stream->service()->config.name == info.wanted_service;
    if (info.wanted_service.empty() || fits || told == nullptr) told = stream;
  }
  info.state = told != nullptr ? "open" : draining_ ? "closing" : "idle";
  if (told != nullptr) told->describe(info);
}

void H2Flow::server_down(const Endpoint& endpoint) {
  for (H2ClientStream* stream = streams_.front(); stream != nullptr; stream = streams_.next(*stream))
    stream->server_down(endpoint);
}

void H2Flow::followed() {
  if (ended_) return;
  if (last_service_.retired()) last_service_.reset();
  pinned_.forget_retired();
  if (!same_rule(client_, client_rule_)) drain();
}

void H2Flow::end_what_is_gone(uint64_t since_ms) {
  if (ended_) return;
  for (H2ClientStream* stream = streams_.front(); stream != nullptr; stream = streams_.next(*stream))
    stream->end_if_gone(client_.worker->io.loop.now(), since_ms);
}

// One deadline for what the whole connection waits for; streams have their own.
void H2Flow::rearm() {
  const Transport& transport = *client_.transport;
  auto waiting = [&]() -> Wait {
    if (draining_ && !shut_) return kDrain;
    if (transport.pending() > 0) return kClient;
    if (incomplete_ > 0) return kHead;
    if (streams_.empty()) return answered_ ? kKeepAlive : kFirstRequest;
    return kNothing;
  };
  Wait wait = waiting();
  // A head does not buy itself time byte by byte, and has its own: it is not the rest of the one before.
  uint64_t progress = wait == kClient      ? transport.sent()
                      : wait == kKeepAlive ? session_.progress()
                      : wait == kHead      ? heads_
                                           : 0;
  if (wait == waiting_for_ && progress == client_progress_) return;
  waiting_for_ = wait;
  client_progress_ = progress;
  config::Milliseconds after{0};
  switch (wait) {
    case kNothing: break;
    case kFirstRequest:
    case kHead: after = timeouts().request; break;
    case kKeepAlive: after = timeouts().keep_alive; break;
    case kClient: after = timeouts().client; break;
    case kDrain: after = kLastCall; break;
  }
  client_.worker->io.loop.arm(deadline_, after);
}

void H2Flow::on_deadline(Deadline&) {
  if (ended_) return;
  switch (waiting_for_) {
    case kFirstRequest:
    case kKeepAlive:
    case kDrain:
      shut_ = draining_ = true;
      session_.shut(http::H2Code::no_error);
      break;
    case kHead:
      timed_out_ = true;
      session_.fail(http::H2Code::enhance_your_calm, "request head timed out");
      break;
    case kClient:
      client_.reject(Rejection::timeout);
      client_.transport->reset_on_close();
      gone(End::client_timeout, "no progress");
      return;
    default: return;
  }
  waiting_for_ = kNothing;
  pump();
}

http::H2Stream* H2Flow::h2_open() {
  auto* stream = new H2ClientStream(*this);
  streams_.push_back(*stream);
  ++incomplete_;
  ++heads_;
  return stream;
}

void H2Flow::h2_head(http::H2Stream& stream, bool too_large) {
  auto& request = static_cast<H2ClientStream&>(stream);
  --incomplete_;
  answered_ = true;
  request.on_head(too_large);
  if (request.service() && request.service().get() != last_service_.get()) last_service_ = request.service();
}

void H2Flow::h2_data(http::H2Stream& stream, Bytes piece) { static_cast<H2ClientStream&>(stream).on_data(piece); }
void H2Flow::h2_end(http::H2Stream& stream) { static_cast<H2ClientStream&>(stream).on_end(); }
void H2Flow::h2_sent(http::H2Stream& stream) { static_cast<H2ClientStream&>(stream).on_sent(); }
void H2Flow::h2_closed(http::H2Stream& stream, http::H2Code code, bool) {
  static_cast<H2ClientStream&>(stream).on_closed(code);
}
void H2Flow::h2_write(Bytes head, Bytes payload) { gather_->add(head, payload); }

}  // namespace sallyport
