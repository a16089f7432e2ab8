#include "http/h2_callbacks.h"

#include <algorithm>
#include <vector>

#include "base/block_cache.h"
#include "base/text.h"

namespace sallyport::http {
namespace {

H2Session& session_of(void* user) noexcept { return *static_cast<H2Session*>(user); }

std::string_view text_of(const uint8_t* at, size_t length) noexcept {
  return {reinterpret_cast<const char*>(at), length};
}

// Shared by all sessions; lives as long as the process.
const nghttp2_option* session_options() {
  static nghttp2_option* const options = [] {
    nghttp2_option* made = nullptr;
    if (nghttp2_option_new(&made) != 0) return made;
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_max_send_header_block_length(made, 1024 * 1024);
    nghttp2_option_set_builtin_recv_extension_type(made, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_server_fallback_rfc7540_priorities(made, 0);
    nghttp2_option_set_max_settings(made, 32);
    nghttp2_option_set_max_outbound_ack(made, 1000);
    // Counted by H2Session, by its own clock and with the right code.
    nghttp2_option_set_stream_reset_rate_limit(made, 1000000, 1000000);
    return made;
  }();
  return options;
}

}  // namespace

nghttp2_session* H2Callbacks::open_session(H2Session& session) {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) return made;
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(made, send_data);
    return made;
  }();
  const nghttp2_option* const options = session_options();
  if (callbacks == nullptr || options == nullptr) return nullptr;
  nghttp2_mem memory{nullptr, [](size_t size, void*) { return take_block(size); },
                     [](void* block, void*) { give_block(block); },
                     [](size_t count, size_t size, void*) { return take_zeroed_block(count, size); },
                     [](void* block, size_t size, void*) { return resize_block(block, size); }};
  nghttp2_mem* const kept = kKeepsBlocks ? &memory : nullptr;  // it copies what is in there
  nghttp2_session* made = nullptr;
  const int answer = session.server() ? nghttp2_session_server_new3(&made, callbacks, &session, options, kept)
                                      : nghttp2_session_client_new3(&made, callbacks, &session, options, kept);
  return answer == 0 ? made : nullptr;
}

std::span<const nghttp2_nv> H2Callbacks::name_values(const H2FieldList& list) {
  thread_local std::vector<nghttp2_nv> fields;
  fields.clear();
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  for (const H2Field& field : list.fields)
    fields.push_back({bytes(field.name), bytes(field.value), field.name.size(), field.value.size(),
                      static_cast<uint8_t>(field.sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  return fields;
}

nghttp2_data_provider H2Callbacks::data_provider() {
  nghttp2_data_provider provider{};
  provider.read_callback = read_data;
  return provider;
}

void H2Callbacks::merge_priority(std::string_view text, uint8_t& urgency, bool& incremental) noexcept {
  for_each_element(text, [&](std::string_view member) {
    member = trim(member.substr(0, member.find(';')));
    if (member == "i" || member == "i=?1") incremental = true;
    if (member == "i=?0") incremental = false;
    if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7')
      urgency = static_cast<uint8_t>(member[2] - '0');
  });
}

H2Stream* H2Callbacks::find(nghttp2_session* session, int32_t id) {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

// --- Field sections.

int H2Callbacks::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  H2Session& self = session_of(user);
  const int32_t id = frame->hd.stream_id;
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    ++self.streams_;
    self.last_begun_ = id;
    // nghttp2 takes streams until the GOAWAY is framed; what it says holds from when it was decided.
    const bool late = self.shut_ && id > self.last_accepted_;
    const bool too_many = self.streams_ > self.limits_.streams;
    if (too_many) self.charge_reset();
    H2Stream* stream = late || too_many ? nullptr : self.owner_.h2_open();
    if (stream == nullptr) {
      self.submit_reset(id, H2Code::refused_stream);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    self.attach(*stream, id);
    nghttp2_session_set_stream_user_data(session, id, stream);
    self.reader_.begin(H2FieldReader::Section::request, stream->request->fields, self.limits_.fields);
    return 0;
  }
  H2Stream* stream = find(session, id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (!self.server() && !stream->head_received_)
    self.reader_.begin(H2FieldReader::Section::response, stream->response->fields, self.limits_.fields);
  else
    self.reader_.begin(H2FieldReader::Section::trailers,
                       stream->trailers != nullptr ? *stream->trailers : self.unwanted_, self.limits_.fields);
  return 0;
}

int H2Callbacks::on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                           size_t name_length, const uint8_t* value, size_t value_length, uint8_t flags, void* user) {
  H2Session& self = session_of(user);
  if (find(session, frame->hd.stream_id) == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  self.reader_.add(text_of(name, name_length), text_of(value, value_length), (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
  if (self.reader_.list_bytes() <= uint64_t{4} * self.limits_.fields.list_bytes) return 0;
  // Far over what was allowed: small on the wire, large in here. No more of it is decoded.
  self.fail(H2Code::enhance_your_calm, "field section far over the limit");
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// nghttp2 would drop the field and go on. As an error of the stream it is reset with PROTOCOL_ERROR.
int H2Callbacks::on_invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*,
                                   size_t, uint8_t, void*) {
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int H2Callbacks::finish_section(H2Session& self, nghttp2_session* session, const nghttp2_frame* frame) {
  using Verdict = H2FieldReader::Verdict;
  const int32_t id = frame->hd.stream_id;
  H2Stream* stream = find(session, id);
  if (stream == nullptr || stream->resetting_) return 0;
  const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  const bool response = !self.server() && !stream->head_received_;
  ++self.progress_;
  // RFC 9113 section 8.5: in a tunnel there is DATA, and nothing of HTTP.
  const bool in_tunnel = !request && !response && stream->tunnel_;
  const Verdict verdict = in_tunnel  ? Verdict::malformed
                          : request  ? self.reader_.finish_request(*stream->request, ended)
                          : response ? self.reader_.finish_response(*stream->response, ended, stream->head_request_)
                                     : self.reader_.finish_trailers();
  if (verdict == Verdict::malformed || (verdict == Verdict::too_large && !request)) {
    self.reset(*stream, verdict == Verdict::malformed ? H2Code::protocol_error : H2Code::enhance_your_calm);
    self.charge_reset();
    return 0;
  }
  if (ended) stream->end_received_ = true;
  if (request || response) {
    stream->head_received_ = request || !stream->response->interim();
    if (request) {
      stream->tunnel_ = !stream->request->connect_protocol.empty();
      if (const auto priority = stream->request->fields.find("priority"))
        merge_priority(*priority, stream->urgency_, stream->incremental_);
    }
    self.owner_.h2_head(*stream, verdict == Verdict::too_large);
    stream = find(session, id);
  }
  if (ended && stream != nullptr) self.owner_.h2_end(*stream);
  return 0;
}

// --- Frames from the peer.

int H2Callbacks::on_data_chunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t length,
                               void* user) {
  H2Session& self = session_of(user);
  self.data_seen_ = true;
  H2Stream* stream = find(session, id);
  if (stream == nullptr || stream->resetting_) {
    nghttp2_session_consume_connection(session, length);
    return 0;
  }
  stream->received_ += length;
  stream->unconsumed_ += static_cast<uint32_t>(length);
  self.hold(length);
  self.progress_ += length;
  self.charge_control(-static_cast<double>(length) / 1024);
  self.owner_.h2_data(*stream, {data, length});
  return 0;
}

void H2Callbacks::on_priority_update(nghttp2_session* session, const nghttp2_frame* frame) {
  const auto& update = *static_cast<const nghttp2_ext_priority_update*>(frame->ext.payload);
  H2Stream* stream = find(session, update.stream_id);
  if (stream == nullptr) return;
  stream->urgency_ = 3;
  stream->incremental_ = false;
  merge_priority(text_of(update.field_value, update.field_value_len), stream->urgency_, stream->incremental_);
}

int H2Callbacks::on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  H2Session& self = session_of(user);
  self.heard_ = true;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS: return finish_section(self, session, frame);
    case NGHTTP2_DATA: {
      if (self.data_seen_) self.charge_control(-1);
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
      H2Stream* stream = find(session, frame->hd.stream_id);
      if (stream == nullptr || stream->resetting_) break;
      stream->end_received_ = true;
      self.owner_.h2_end(*stream);
      break;
    }
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
      self.settings_received_ = true;
      if (!self.server()) self.owner_.h2_changed();
      break;
    case NGHTTP2_GOAWAY:
      self.goaway_received_ = true;
      self.goaway_last_ = frame->goaway.last_stream_id;
      self.owner_.h2_changed();
      break;
    case NGHTTP2_PRIORITY_UPDATE: on_priority_update(session, frame); break;
    default: break;
  }
  return 0;
}

int H2Callbacks::on_invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user) {
  H2Session& self = session_of(user);
  self.last_error_ = error;
  // An error of the stream: it has been reset. That of the connection is found by settle().
  H2Stream* stream = find(session, frame->hd.stream_id);
  if (stream == nullptr || stream->resetting_) return 0;
  stream->resetting_ = true;
  self.drop_output(*stream);
  self.charge_reset();
  return 0;
}

// --- Frames to the peer.

int H2Callbacks::on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  H2Session& self = session_of(user);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS: {
      ++self.progress_;
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
      H2Stream* stream = find(session, frame->hd.stream_id);
      if (stream == nullptr) break;
      stream->end_sent_ = true;
      self.owner_.h2_sent(*stream);
      break;
    }
    case NGHTTP2_RST_STREAM: self.closed_.add(frame->hd.stream_id, H2ClosedStreams::How::reset_by_us); break;
    case NGHTTP2_GOAWAY:
      if (self.shut_ && !self.shut_framed_ && frame->goaway.last_stream_id == self.last_accepted_) {
        self.shut_framed_ = true;
        break;
      }
      // What nghttp2 found wrong, if it was not noticed before.
      if (frame->goaway.error_code == NGHTTP2_NO_ERROR) break;
      if (!self.failed_) self.failure_ = H2Session::what_failed(self.frames_.frame().type);
      self.failed_ = true;
      self.failure_code_ = static_cast<H2Code>(frame->goaway.error_code);
      break;
    default: break;
  }
  return 0;
}

int H2Callbacks::on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat == NGHTTP2_HCAT_REQUEST) return 0;
  if (error == NGHTTP2_ERR_STREAM_CLOSED || error == NGHTTP2_ERR_STREAM_CLOSING || error == NGHTTP2_ERR_SESSION_CLOSING)
    return 0;
  // Too large a head, say: the peer must not wait for it.
  if (H2Stream* stream = find(session, frame->hd.stream_id)) session_of(user).reset(*stream, H2Code::internal_error);
  return 0;
}

ssize_t H2Callbacks::read_data(nghttp2_session* session, int32_t id, uint8_t*, size_t length, uint32_t* flags,
                               nghttp2_data_source*, void* user) {
  H2Session& self = session_of(user);
  H2Stream* stream = find(session, id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const size_t count = std::min(length, stream->out_.size());
  if (count == 0 && !stream->end_queued_) {
    stream->deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream->end_queued_ && count == stream->out_.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->out_trailers_ != nullptr) {
      list_trailers(self.list_, *stream->out_trailers_);
      const auto fields = name_values(self.list_);
      if (!fields.empty() && nghttp2_submit_trailer(session, id, fields.data(), fields.size()) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
  }
  return static_cast<ssize_t>(count);
}

int H2Callbacks::send_data(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header, size_t length,
                           nghttp2_data_source*, void* user) {
  H2Session& self = session_of(user);
  H2Stream* stream = find(session, frame->hd.stream_id);
  if (stream == nullptr || stream->out_.size() < length) return NGHTTP2_ERR_CALLBACK_FAILURE;
  constexpr size_t kHeaderSize = 9;
  Bytes head(header, kHeaderSize);
  size_t left = length;
  do {
    Bytes piece = stream->out_.front();
    piece = piece.first(std::min(piece.size(), left));
    self.owner_.h2_write(head, piece);
    stream->out_.consume(piece.size());
    left -= piece.size();
    head = {};
  } while (left != 0);
  self.written_ += kHeaderSize + length;
  self.buffered_ -= length;
  self.progress_ += length;
  if (length != 0) self.charge_control(-2 - static_cast<double>(length) / 1024);
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->end_sent_ = true;
  self.owner_.h2_sent(*stream);
  if (self.written_ < self.most_) return 0;
  self.paused_ = true;
  return NGHTTP2_ERR_PAUSE;
}

int H2Callbacks::on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* user) {
  H2Session& self = session_of(user);
  if (self.streams_ != 0) --self.streams_;  // 0 after close_all()
  if (code == NGHTTP2_NO_ERROR) self.resets_.take(self.limits_.resets, self.now_ms_, -0.5);
  H2Stream* stream = find(session, id);
  // One that has been reset is noted as such already; where nobody can tell, a look costs more.
  const bool not_reset = stream != nullptr && !stream->resetting_;
  if (self.server() && (not_reset || self.closed_.find(id) == H2ClosedStreams::How::unknown))
    self.closed_.add(id, H2ClosedStreams::How::over);
  if (stream == nullptr) return 0;
  self.detach(*stream);
  // A server that resets with NO_ERROR in the middle of its response has not ended it.
  if (code == NGHTTP2_NO_ERROR && !stream->end_received_) code = NGHTTP2_CANCEL;
  const bool unprocessed = !self.server() && code == NGHTTP2_REFUSED_STREAM && !stream->head_received_;
  self.owner_.h2_closed(*stream, static_cast<H2Code>(code), unprocessed);
  return 0;
}

}  // namespace sallyport::http
