#include "http/h2_session.h"

#include <algorithm>
#include <new>

#include "http/h2_callbacks.h"

namespace sallyport::http {
namespace {

// What streams may hold together before the connection's window waits for them: see consume().
constexpr size_t kMostHeld = 4 * 1024 * 1024;
constexpr uint32_t kMostWindow = 0x7fffffff;  // RFC 9113 section 6.9.1
constexpr uint32_t kWideWindow = 1024 * 1024;
constexpr uint32_t kWideStreams = 4;
constexpr uint32_t kSectionFrames = 9;  // HEADERS and eight CONTINUATION
constexpr uint64_t kLeastSectionBytes = 64 * 1024;
constexpr size_t kFrameHeader = 9;
constexpr size_t kMostSettings = 32;  // in a frame
constexpr uint32_t kNoLimit = 0x7fffffff;
constexpr uint32_t kMostStreams = 1000;  // at once, on a connection to a server that sets no limit

nghttp2_settings_entry setting(int32_t id, uint32_t value) noexcept { return {id, value}; }

}  // namespace

bool H2Session::Bucket::take(uint32_t size, uint64_t now_ms, double amount) noexcept {
  if (now_ms > at_ms) {
    left += static_cast<double>(now_ms - at_ms) / 1000 * size / 10;
    at_ms = now_ms;
  }
  left = std::min(left - amount, static_cast<double>(size));
  return left >= 0;
}

H2Session::H2Session(Role role, Owner& owner, const H2Limits& limits, uint64_t now_ms)
    : role_(role),
      owner_(owner),
      limits_(limits),
      frames_(role == Role::server),
      now_ms_(now_ms),
      resets_{static_cast<double>(limits.resets), now_ms},
      control_{static_cast<double>(limits.control), now_ms} {
  session_ = H2Callbacks::open_session(*this);
  if (session_ == nullptr) throw std::bad_alloc();
  submit_settings();
}

H2Session::~H2Session() {
  while (first_ != nullptr) detach(*first_);
  nghttp2_session_del(session_);
}

void H2Session::submit_settings() {
  limits_.stream_window = std::min(limits_.stream_window, kMostWindow);
  limits_.connection_window = std::clamp<uint32_t>(limits_.connection_window, 65535, kMostWindow);
  nghttp2_settings_entry entries[5];
  size_t count = 0;
  entries[count++] = setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window);
  entries[count++] = setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.fields.list_bytes);
  if (server()) {
    // nghttp2 ends a connection that goes over; here a stream too many is refused, and the connection goes on. So it is
    // told of no limit, and what it writes is put right: see announce_limit().
    entries[count++] = setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kNoLimit);
    entries[count++] = setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    entries[count++] = setting(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
  } else {
    entries[count++] = setting(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, count);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits_.connection_window));
}

// --- Reading.

bool H2Session::receive(Bytes bytes, uint64_t now_ms) {
  now_ms_ = now_ms;
  H2FrameScan::Piece piece;
  while (!failed_ && frames_.next(bytes, piece)) {
    if (piece.begins) {
      heard_ = data_seen_ = false;
      last_error_ = 0;
      if (!admit(frames_.frame())) return false;
    }
    // After a GOAWAY, with no stream left, nghttp2 reads no more.
    if (nghttp2_session_want_read(session_) == 0) continue;
    if (frames_.frame().type == H2Type::settings && !read_settings(piece)) return false;
    const auto read = nghttp2_session_mem_recv(session_, piece.bytes.data(), piece.bytes.size());
    if (read == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
      fail(H2Code::protocol_error, "not an HTTP/2 preface");
    else if (read == NGHTTP2_ERR_FLOODED)
      fail(H2Code::enhance_your_calm, "PING or SETTINGS without reading the answers");
    else if (read < 0)
      fail(H2Code::internal_error, nghttp2_strerror(static_cast<int>(read)));
    if (!failed_ && piece.ends) settle(frames_.frame());
  }
  return !failed_;
}

// Before nghttp2 sees the frame.
bool H2Session::admit(const H2Frame& frame) {
  H2Code code{};
  const char* why = "";
  if (!frames_.check(server(), code, why)) {
    fail(code, why);
    return false;
  }
  switch (frame.type) {
    case H2Type::continuation:
      if (frames_.section_frames() > kSectionFrames) fail(H2Code::enhance_your_calm, "too many CONTINUATION frames");
      if (frames_.section_bytes() > std::max(uint64_t{4} * limits_.fields.list_bytes, kLeastSectionBytes))
        fail(H2Code::enhance_your_calm, "field section too large");
      break;
    case H2Type::headers: charge_control(-1); [[fallthrough]];
    case H2Type::data:
      if (server()) admit_stream(frame.stream);
      break;
    case H2Type::rst_stream:
      if (server() && nghttp2_session_get_stream_local_close(session_, frame.stream) >= 0)
        charge_reset();
      else
        charge_control(1);
      break;
    default: charge_control(1);
  }
  return !failed_;
}

// RFC 9113 sections 5.1 and 5.1.1. What nghttp2 has forgotten it ignores.
bool H2Session::admit_stream(int32_t id) {
  if (id % 2 == 0 || id > last_begun_) return true;
  const int ended = nghttp2_session_get_stream_remote_close(session_, id);
  if (ended == 0) return true;
  if (ended == 1) {
    fail(H2Code::stream_closed, "a frame on a stream that the client has ended");
    return false;
  }
  switch (closed_.find(id)) {
    case H2ClosedStreams::How::reset_by_us: return true;
    case H2ClosedStreams::How::over: fail(H2Code::stream_closed, "a frame on a closed stream"); return false;
    case H2ClosedStreams::How::unknown: break;
  }
  if (closed_.forgetful()) return true;
  fail(H2Code::protocol_error, "a stream identifier that was passed over");
  return false;
}

// After nghttp2 has seen the frame, all of it.
bool H2Session::settle(const H2Frame& frame) {
  if (frames_.in_section()) return true;
  const bool heard = heard_;
  if (!heard && gone_quiet()) {
    failed_ = true;
    failure_ = what_failed(frame.type);
    failure_code_ = H2Callbacks::likely_code(frame.type, last_error_);
    return false;
  }
  switch (frame.type) {
    case H2Type::headers:
    case H2Type::continuation:
      // nghttp2 refused it: too many streams, or after our GOAWAY.
      if (server() && frame.stream > last_begun_) {
        last_begun_ = frame.stream;
        closed_.add(frame.stream, H2ClosedStreams::How::reset_by_us);
        if (!shut_) charge_reset();
      }
      break;
    case H2Type::data:
      // One byte of padding length and no content is empty too.
      if (!data_seen_ && frame.length <= 256 && !frame.has(kH2EndStream)) charge_control(1);
      if (!heard)
        if (auto* stream = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_, frame.stream));
            stream != nullptr && !stream->resetting_) {
          // Over its window, or more than Content-Length: nghttp2 has reset it.
          stream->resetting_ = true;
          charge_reset();
        }
      break;
    default: break;
  }
  return !failed_;
}

// Whether nghttp2 has given up the connection. It does so silently, and from then on drops what it is given; so it is
// given a PING ACK, which means nothing, and of which it tells if it still listens.
bool H2Session::gone_quiet() {
  if (nghttp2_session_want_read(session_) == 0) return false;
  static constexpr uint8_t kPingAck[17] = {0, 0, 8, NGHTTP2_PING, NGHTTP2_FLAG_ACK};
  nghttp2_session_mem_recv(session_, kPingAck, sizeof kPingAck);
  return !heard_;
}

// RFC 9113 section 6.5.3: each value counts, in order. nghttp2 looks at the last of each only, and where a window grows
// too large resets a stream of a connection that is at fault.
bool H2Session::read_settings(const H2FrameScan::Piece& piece) {
  if (frames_.frame().has(kH2Ack)) return true;
  Bytes payload = piece.bytes;
  if (piece.begins) {
    // nghttp2 would find this as well, but not before the same of the values whichever way the bytes are cut.
    if (frames_.frame().length > kMostSettings * setting_.size()) {
      fail(H2Code::enhance_your_calm, "too many settings");
      return false;
    }
    payload = payload.subspan(kFrameHeader);
    setting_size_ = 0;
    widest_ = -1;
    for (const H2Stream* stream = first_; stream != nullptr; stream = stream->next_)
      widest_ = std::max<int64_t>(widest_, nghttp2_session_get_stream_remote_window_size(session_, stream->id_));
  }
  for (const uint8_t byte : payload) {
    setting_[setting_size_++] = byte;
    if (setting_size_ < setting_.size()) continue;
    setting_size_ = 0;
    const int id = setting_[0] << 8 | setting_[1];
    const uint32_t value = static_cast<uint32_t>(setting_[2]) << 24 | static_cast<uint32_t>(setting_[3]) << 16 |
                           static_cast<uint32_t>(setting_[4]) << 8 | setting_[5];
    if (!read_setting(id, value)) return false;
  }
  return true;
}

bool H2Session::read_setting(int id, uint32_t value) {
  constexpr int64_t kLargestWindow = 0x7fffffff;
  switch (id) {
    case NGHTTP2_SETTINGS_ENABLE_PUSH:
    case NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL:
    case NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES:
      if (value > 1) fail(H2Code::protocol_error, "a setting that is neither 0 nor 1");
      break;
    case NGHTTP2_SETTINGS_MAX_FRAME_SIZE:
      if (value < 0x4000 || value > 0xffffff) fail(H2Code::protocol_error, "SETTINGS_MAX_FRAME_SIZE out of range");
      break;
    case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
      if (widest_ >= 0) widest_ += static_cast<int64_t>(value) - peer_window_;
      if (value > kLargestWindow || widest_ > kLargestWindow)
        fail(H2Code::flow_control_error, "SETTINGS_INITIAL_WINDOW_SIZE too large");
      peer_window_ = value;
      break;
    default: break;
  }
  return !failed_;
}

void H2Session::charge_reset() {
  if (server() && !resets_.take(limits_.resets, now_ms_, 1)) fail(H2Code::enhance_your_calm, "too many streams reset");
}

void H2Session::charge_control(double amount) {
  if (!control_.take(limits_.control, now_ms_, amount) && amount > 0)
    fail(H2Code::enhance_your_calm, "too many frames that bring nothing");
}

// --- Writing.

bool H2Session::produce(size_t most) {
  written_ = 0;
  most_ = most;
  while (written_ < most_) {
    paused_ = false;
    const uint8_t* data = nullptr;
    const auto count = nghttp2_session_mem_send(session_, &data);
    if (count < 0) {
      fail(H2Code::internal_error, nghttp2_strerror(static_cast<int>(count)));
      return false;
    }
    if (count == 0 && !paused_) break;
    if (count == 0) continue;
    if (server() && !limit_announced_) data = announce_limit({data, static_cast<size_t>(count)});
    owner_.h2_write({data, static_cast<size_t>(count)}, {});
    written_ += static_cast<size_t>(count);
  }
  return wants_write();
}

// The first frame a server writes is its SETTINGS: its limit of streams takes the place of ours to nghttp2.
const uint8_t* H2Session::announce_limit(Bytes frame) {
  limit_announced_ = true;
  preface_.assign(frame.begin(), frame.end());
  for (size_t at = 9; at + 6 <= preface_.size(); at += 6) {
    if (preface_[at] != 0 || preface_[at + 1] != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) continue;
    for (size_t i = 0; i < 4; ++i) preface_[at + 2 + i] = static_cast<uint8_t>(limits_.streams >> (24 - 8 * i));
    break;
  }
  return preface_.data();
}

bool H2Session::wants_write() const noexcept { return nghttp2_session_want_write(session_) != 0; }

bool H2Session::open(H2Stream& stream, const RequestHead& request, std::string_view scheme,
                     std::string_view connect_protocol, bool ended) {
  if (failed_ || nghttp2_session_check_request_allowed(session_) == 0) return false;
  list_request(list_, request, scheme, connect_protocol);
  const auto fields = H2Callbacks::name_values(list_);
  const nghttp2_data_provider provider = H2Callbacks::data_provider();
  const int32_t id =
      nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), ended ? nullptr : &provider, &stream);
  if (id < 0) return false;
  attach(stream, id);
  stream.head_request_ = connect_protocol.empty() && request.is_head();
  stream.end_queued_ = ended;
  ++streams_;
  return true;
}

uint32_t H2Session::streams_allowed() const noexcept {
  if (failed_ || nghttp2_session_check_request_allowed(session_) == 0) return 0;
  const uint32_t most =
      std::min(nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), kMostStreams);
  return most > streams_ ? most - static_cast<uint32_t>(streams_) : 0;
}

bool H2Session::extended_connect() const noexcept {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool H2Session::settings_received() const noexcept { return settings_received_; }

void H2Session::respond_interim(H2Stream& stream, const ResponseHead& response) {
  if (stream.id_ == 0 || stream.resetting_) return;
  list_response(list_, response);
  const auto fields = H2Callbacks::name_values(list_);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, fields.data(), fields.size(), nullptr);
}

void H2Session::respond(H2Stream& stream, const ResponseHead& response, bool ended) {
  if (stream.id_ == 0 || stream.resetting_) return;
  list_response(list_, response);
  const auto fields = H2Callbacks::name_values(list_);
  const nghttp2_data_provider provider = H2Callbacks::data_provider();
  if (ended) {
    drop_output(stream);
    stream.end_queued_ = true;
  }
  if (nghttp2_submit_response(session_, stream.id_, fields.data(), fields.size(), ended ? nullptr : &provider) != 0)
    reset(stream, H2Code::internal_error);
}

void H2Session::send(H2Stream& stream, Bytes piece) {
  if (stream.id_ == 0 || stream.end_queued_ || stream.resetting_ || piece.empty()) return;
  stream.out_.append(piece);
  buffered_ += piece.size();
  resume(stream);
}

void H2Session::end(H2Stream& stream, const HeaderList* trailers) {
  if (stream.id_ == 0 || stream.end_queued_ || stream.resetting_) return;
  stream.end_queued_ = true;
  stream.out_trailers_ = trailers != nullptr && !trailers->empty() ? trailers : nullptr;
  resume(stream);
}

void H2Session::resume(H2Stream& stream) {
  if (!stream.deferred_) return;
  stream.deferred_ = false;
  nghttp2_session_resume_data(session_, stream.id_);
}

void H2Session::submit_reset(int32_t id, H2Code code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}

void H2Session::reset(H2Stream& stream, H2Code code) {
  if (stream.id_ == 0 || stream.resetting_) return;
  stream.resetting_ = true;
  drop_output(stream);
  submit_reset(stream.id_, code);
}

void H2Session::forget(H2Stream& stream) {
  if (stream.id_ == 0) return;
  const int32_t id = stream.id_;
  const bool resetting = stream.resetting_;
  detach(stream);
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
  if (!resetting) submit_reset(id, H2Code::cancel);
}

void H2Session::consume(H2Stream& stream, size_t count) {
  if (stream.id_ == 0) return;
  count = std::min<size_t>(count, stream.unconsumed_);
  if (count == 0) return;
  stream.unconsumed_ -= static_cast<uint32_t>(count);
  release(count);
  if (stream.end_received_ || stream.resetting_) return;
  nghttp2_session_consume_stream(session_, stream.id_, count);
  widen(stream);
}

// A stream that has filled its window once, and whose reader keeps up, is given a window that fits a longer way.
void H2Session::widen(H2Stream& stream) {
  if (stream.wide_ || wide_streams_ == kWideStreams || stream.unconsumed_ != 0 ||
      stream.received_ <= limits_.stream_window || limits_.stream_window >= kWideWindow)
    return;
  stream.wide_ = true;
  ++wide_streams_;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream.id_, kWideWindow);
}

// The connection's window comes back at once, as long as no more than so much waits in all streams.
void H2Session::hold(size_t count) {
  held_ += count;
  if (held_ > kMostHeld)
    owed_ += count;
  else
    nghttp2_session_consume_connection(session_, count);
}

void H2Session::release(size_t count) {
  held_ -= count;
  const size_t back = std::min(owed_, count);
  if (back == 0) return;
  owed_ -= back;
  nghttp2_session_consume_connection(session_, back);
}

void H2Session::prioritize(H2Stream& stream, std::string_view priority) {
  if (!server() || stream.id_ == 0) return;
  H2Callbacks::merge_priority(priority, stream.urgency_, stream.incremental_);
  const nghttp2_extpri merged{stream.urgency_, stream.incremental_ ? 1 : 0};
  nghttp2_session_change_extpri_stream_priority(session_, stream.id_, &merged, 0);
}

// --- The connection.

void H2Session::announce_shutdown() { nghttp2_submit_shutdown_notice(session_); }

void H2Session::shut(H2Code code, std::string_view debug) {
  if (failed_ || shut_) return;
  shut_ = true;
  last_accepted_ = nghttp2_session_get_last_proc_stream_id(session_);
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_accepted_, static_cast<uint32_t>(code),
                        reinterpret_cast<const uint8_t*>(debug.data()), debug.size());
}

void H2Session::fail(H2Code code, const char* why) {
  if (failed_) return;
  failed_ = true;
  failure_ = why;
  failure_code_ = code;
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
}

void H2Session::close_all() {
  while (first_ != nullptr) {
    H2Stream& stream = *first_;
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
    detach(stream);
    owner_.h2_closed(stream, H2Code::internal_error, false);
  }
  streams_ = 0;
}

// --- Streams.

void H2Session::attach(H2Stream& stream, int32_t id) {
  stream.id_ = id;
  stream.out_trailers_ = nullptr;
  stream.received_ = stream.unconsumed_ = 0;
  stream.head_request_ = stream.head_received_ = stream.end_queued_ = stream.end_sent_ = stream.end_received_ = false;
  stream.deferred_ = stream.wide_ = stream.resetting_ = stream.incremental_ = stream.tunnel_ = false;
  stream.urgency_ = 3;
  stream.next_ = first_;
  stream.previous_ = nullptr;
  if (first_ != nullptr) first_->previous_ = &stream;
  first_ = &stream;
}

void H2Session::detach(H2Stream& stream) {
  drop_output(stream);
  if (stream.unconsumed_ != 0) release(stream.unconsumed_);
  stream.unconsumed_ = 0;
  if (stream.wide_) --wide_streams_;
  stream.wide_ = false;
  stream.id_ = 0;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  (stream.previous_ != nullptr ? stream.previous_->next_ : first_) = stream.next_;
  stream.next_ = stream.previous_ = nullptr;
}

void H2Session::drop_output(H2Stream& stream) noexcept {
  buffered_ -= stream.out_.size();
  stream.out_.clear();
}

}  // namespace sallyport::http
