#include "http/h2_frames.h"

#include <algorithm>
#include <cstring>

#include "http/h2_session.h"

namespace sallyport::http {
namespace {

constexpr uint32_t kHeaderSize = 9;
constexpr uint32_t kMaxFrameSize = 16384;  // SETTINGS_MAX_FRAME_SIZE is left at its default

int32_t read_id(const uint8_t* at) noexcept {
  return static_cast<int32_t>((at[0] & 0x7fu) << 24 | at[1] << 16 | at[2] << 8 | at[3]);
}
uint32_t read_length(const uint8_t* at) noexcept { return static_cast<uint32_t>(at[0] << 16 | at[1] << 8 | at[2]); }

// How much has to be there before the frame can be judged.
uint32_t judged_size(const uint8_t* header) noexcept {
  const auto type = static_cast<H2Type>(header[3]);
  const bool look_inside = type == H2Type::priority || type == H2Type::priority_update;
  return kHeaderSize + (look_inside && read_length(header) >= 4 ? 4 : 0);
}

}  // namespace

void H2FrameScan::read_header(const uint8_t* at, size_t have) noexcept {
  frame_.length = read_length(at);
  frame_.type = static_cast<H2Type>(at[3]);
  frame_.flags = at[4];
  frame_.stream = read_id(at + 5);
  frame_.subject = have > kHeaderSize ? read_id(at + kHeaderSize) : 0;
  payload_left_ = frame_.length;
}

bool H2FrameScan::next(Bytes& input, Piece& piece) noexcept {
  piece = {};
  if (input.empty()) return false;
  const auto take = [&](size_t count) {
    const Bytes taken = input.first(count);
    input = input.subspan(count);
    return taken;
  };
  if (preface_left_ != 0) {
    piece.bytes = take(std::min<size_t>(input.size(), preface_left_));
    preface_left_ = static_cast<uint8_t>(preface_left_ - piece.bytes.size());
    return true;
  }
  if (payload_left_ != 0) {
    piece.bytes = take(std::min<size_t>(input.size(), payload_left_));
    payload_left_ -= static_cast<uint32_t>(piece.bytes.size());
    piece.ends = payload_left_ == 0;
    return true;
  }
  if (kept_ == 0 && input.size() >= kHeaderSize && input.size() >= judged_size(input.data())) {
    const size_t judged = judged_size(input.data());
    read_header(input.data(), judged);
    const size_t whole = kHeaderSize + size_t{frame_.length};
    piece.bytes = take(std::min(input.size(), whole));
    payload_left_ = static_cast<uint32_t>(whole - piece.bytes.size());
  } else {
    uint32_t wanted = kHeaderSize;
    do {
      if (kept_ >= kHeaderSize) wanted = judged_size(header_.data());
      const Bytes more = take(std::min<size_t>(input.size(), wanted - kept_));
      std::memcpy(header_.data() + kept_, more.data(), more.size());
      kept_ = static_cast<uint8_t>(kept_ + more.size());
      if (kept_ < wanted) return false;
    } while (wanted < judged_size(header_.data()));
    read_header(header_.data(), wanted);
    payload_left_ -= wanted - kHeaderSize;
    piece.bytes = {header_.data(), wanted};
    kept_ = 0;
  }
  piece.begins = true;
  piece.ends = payload_left_ == 0;
  return true;
}

bool H2FrameScan::check(bool server, H2Code& code, const char*& why) noexcept {
  const auto refuse = [&](H2Code error, const char* text) {
    code = error;
    why = text;
    return false;
  };
  const auto size_error = [&](const char* text) { return refuse(H2Code::frame_size_error, text); };
  const auto protocol_error = [&](const char* text) { return refuse(H2Code::protocol_error, text); };
  if (frame_.length > kMaxFrameSize) return size_error("frame too large");
  if (in_section()) {
    if (frame_.type != H2Type::continuation || frame_.stream != section_)
      return protocol_error("another frame within a field section");
    section_bytes_ += frame_.length;
    ++section_frames_;
    if (frame_.has(kH2EndHeaders)) section_ = 0;
    return true;
  }
  // RFC 9113 section 6: those belong to a stream, these to the connection.
  switch (frame_.type) {
    case H2Type::data:
    case H2Type::headers:
    case H2Type::priority:
    case H2Type::rst_stream:
      if (frame_.stream == 0) return protocol_error("a stream's frame on stream 0");
      break;
    case H2Type::settings:
    case H2Type::ping:
    case H2Type::goaway:
    case H2Type::priority_update:
      if (frame_.stream != 0) return protocol_error("a connection's frame on a stream");
      break;
    default: break;
  }
  switch (frame_.type) {
    case H2Type::data: return !frame_.has(kH2Padded) || frame_.length != 0 || size_error("DATA too short");
    case H2Type::headers:
      if (frame_.length < (frame_.has(kH2Padded) ? 1u : 0u) + (frame_.has(kH2Priority) ? 5u : 0u))
        return size_error("HEADERS too short");
      section_bytes_ = frame_.length;
      section_frames_ = 1;
      if (!frame_.has(kH2EndHeaders)) section_ = frame_.stream;
      return true;
    case H2Type::priority:
      if (frame_.length != 5) return size_error("bad size of PRIORITY");
      // RFC 7540 section 5.3.1. To reset a stream that may be idle would be an error of ours.
      return frame_.subject != frame_.stream || protocol_error("a stream that depends on itself");
    case H2Type::rst_stream: return frame_.length == 4 || size_error("bad size of RST_STREAM");
    case H2Type::settings:
      if (frame_.has(kH2Ack) && frame_.length != 0) return size_error("SETTINGS ACK with settings");
      return frame_.length % 6 == 0 || size_error("bad size of SETTINGS");
    case H2Type::push_promise:
      // RFC 9113 section 8.4: never from a client, and as a client we have disabled it.
      return protocol_error("PUSH_PROMISE");
    case H2Type::ping: return frame_.length == 8 || size_error("bad size of PING");
    case H2Type::goaway: return frame_.length >= 8 || size_error("GOAWAY too short");
    case H2Type::window_update: return frame_.length == 4 || size_error("bad size of WINDOW_UPDATE");
    case H2Type::continuation: return protocol_error("CONTINUATION without HEADERS");
    case H2Type::priority_update:  // RFC 9218 section 7.1
      if (!server) return protocol_error("PRIORITY_UPDATE from a server");
      if (frame_.length < 4) return size_error("PRIORITY_UPDATE too short");
      return frame_.subject % 2 != 0 || protocol_error("PRIORITY_UPDATE of no request");
    default: return true;
  }
}

void H2ClosedStreams::add(int32_t id, How how) noexcept {
  if (entries_[next_] != 0) forgetful_ = true;
  entries_[next_] = static_cast<uint32_t>(id) * 2 + (how == How::reset_by_us ? 1 : 0);
  next_ = static_cast<uint8_t>((next_ + 1) % kKept);
}

H2ClosedStreams::How H2ClosedStreams::find(int32_t id) const noexcept {
  How how = How::unknown;
  for (uint32_t entry : entries_)
    if (entry / 2 == static_cast<uint32_t>(id)) {
      if (entry % 2 != 0) return How::reset_by_us;
      how = How::over;
    }
  return how;
}

}  // namespace sallyport::http
