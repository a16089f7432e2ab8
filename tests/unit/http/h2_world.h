// Two sessions wired in memory, and frames written by hand. An end writes down what its session tells it.
#pragma once
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "http/h2_session.h"
#include "http/transcript.h"

namespace sallyport::http {

// --- Frames and field blocks (RFC 9113 section 4.1, RFC 7541 section 6).

inline std::string u8(unsigned value) { return std::string(1, static_cast<char>(value)); }
inline std::string u16(unsigned value) { return u8(value >> 8 & 0xff) + u8(value & 0xff); }
inline std::string u32(uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }

constexpr unsigned kData = 0, kHeaders = 1, kPriority = 2, kRst = 3, kSettings = 4, kPushPromise = 5, kPing = 6,
                   kGoaway = 7, kWindowUpdate = 8, kContinuation = 9, kPriorityUpdate = 0x10;
constexpr unsigned kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kPriorityFlag = 0x20;

inline std::string frame_head(size_t length, unsigned type, unsigned flags, uint32_t stream) {
  return u8(length >> 16 & 0xff) + u16(length & 0xffff) + u8(type) + u8(flags) + u32(stream);
}
inline std::string frame(unsigned type, unsigned flags, uint32_t stream, std::string_view payload = {}) {
  return frame_head(payload.size(), type, flags, stream) + std::string(payload);
}

// An integer with a prefix of so many bits (RFC 7541 section 5.1).
inline std::string integer(unsigned first, unsigned bits, size_t value) {
  const size_t most = (1u << bits) - 1;
  if (value < most) return u8(first | static_cast<unsigned>(value));
  std::string out = u8(first | static_cast<unsigned>(most));
  for (value -= most; value >= 128; value /= 128) out += u8(static_cast<unsigned>(value % 128) | 128);
  return out + u8(static_cast<unsigned>(value));
}
inline std::string text(std::string_view value) { return integer(0, 7, value.size()) + std::string(value); }
// Never indexed, so that a block means the same wherever it stands.
inline std::string literal(std::string_view name, std::string_view value) {
  return u8(0x10) + text(name) + text(value);
}

using Fields = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += literal(name, value);
  return out;
}
inline Fields get(std::string path = "/") {
  return {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", std::move(path)}};
}
inline Fields post(std::string path = "/") {
  Fields fields = get(std::move(path));
  fields[0].second = "POST";
  return fields;
}
inline Fields operator+(Fields a, const Fields& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline std::string headers(uint32_t stream, const Fields& fields, unsigned flags = kEndStream | kEndHeaders) {
  return frame(kHeaders, flags, stream, block(fields));
}
inline std::string data(uint32_t stream, std::string_view bytes, unsigned flags = 0) {
  return frame(kData, flags, stream, bytes);
}
inline std::string rst(uint32_t stream, uint32_t code) { return frame(kRst, 0, stream, u32(code)); }
inline std::string window_update(uint32_t stream, uint32_t by) { return frame(kWindowUpdate, 0, stream, u32(by)); }
inline std::string setting(unsigned id, uint32_t value) { return u16(id) + u32(value); }
inline std::string settings(std::string_view entries = {}) { return frame(kSettings, 0, 0, entries); }
inline std::string preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings(); }

struct Frame {
  unsigned type = 0, flags = 0;
  uint32_t stream = 0;
  std::string payload;
  uint32_t word(size_t at) const {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(payload.at(at + i));
    return value;
  }
};
inline std::vector<Frame> frames_of(std::string_view bytes) {
  std::vector<Frame> out;
  if (bytes.starts_with("PRI ")) bytes.remove_prefix(24);
  const auto at = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
  while (bytes.size() >= 9) {
    const size_t length = at(0) << 16 | at(1) << 8 | at(2);
    if (bytes.size() < 9 + length) break;
    out.push_back({at(3), at(4), (at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8)) & 0x7fffffff,
                   std::string(bytes.substr(9, length))});
    bytes.remove_prefix(9 + length);
  }
  return out;
}
inline const char* type_name(unsigned type) {
  static constexpr const char* kNames[] = {"DATA", "HEADERS", "PRIORITY", "RST",    "SETTINGS",
                                           "PUSH", "PING",    "GOAWAY",   "WINDOW", "CONTINUATION"};
  return type < 10 ? kNames[type] : "OTHER";
}

// --- Ends.

struct TestStream : H2Stream {
  explicit TestStream(ChunkPool& pool, size_t number_in) : H2Stream(pool), number(number_in) {
    request = &request_head;
    response = &response_head;
    trailers = &trailer_fields;
  }
  size_t number;  // in the order they were begun
  RequestHead request_head;
  ResponseHead response_head;
  HeaderList trailer_fields;
  HeaderList out_trailers;
  std::string body;
  bool head = false, too_large = false, ended = false, closed = false, unprocessed = false;
  H2Code code = H2Code::no_error;
  size_t sent_calls = 0;
};

struct End : H2Session::Owner {
  explicit End(H2Session::Role role, H2Limits limits = {}, uint64_t now = 0)
      : session(role, *this, limits, now), now_ms(now) {}

  virtual ~End() = default;
  H2Stream* h2_open() override {
    log += "open\n";
    if (refuse) return nullptr;
    return &add();
  }
  void h2_head(H2Stream& s, bool too_large) override {
    TestStream& stream = as(s);
    stream.head = true;
    stream.too_large = too_large;
    if (is_server)
      log += fmt::format("{} head {}{}\n", stream.number, too_large ? "too large " : "", describe(stream.request_head));
    else
      log += fmt::format("{} head {}\n", stream.number, describe(stream.response_head));
    if (on_head) on_head(stream);
  }
  void h2_data(H2Stream& s, Bytes piece) override {
    TestStream& stream = as(s);
    stream.body += as_text(piece);
    if (consume) session.consume(stream, piece.size());
    if (on_data) on_data(stream);
  }
  void h2_end(H2Stream& s) override {
    TestStream& stream = as(s);
    stream.ended = true;
    log += fmt::format("{} end {} bytes{}\n", stream.number, stream.body.size(), describe(stream.trailer_fields));
    if (on_end) on_end(stream);
  }
  void h2_sent(H2Stream& s) override {
    TestStream& stream = as(s);
    ++stream.sent_calls;
    if (on_sent) on_sent(stream);
  }
  void h2_closed(H2Stream& s, H2Code code, bool unprocessed) override {
    TestStream& stream = as(s);
    stream.closed = true;
    stream.code = code;
    stream.unprocessed = unprocessed;
    log += fmt::format("{} closed {}{}\n", stream.number, name_of(code), unprocessed ? " unprocessed" : "");
    if (on_closed) on_closed(stream);
  }
  void h2_changed() override { ++changes; }
  void h2_write(Bytes head, Bytes payload) override {
    out += as_text(head);
    out += as_text(payload);
    ++writes;
  }

  static TestStream& as(H2Stream& stream) { return static_cast<TestStream&>(stream); }
  TestStream& add() {
    streams.push_back(std::make_unique<TestStream>(pool, streams.size()));
    return *streams.back();
  }
  TestStream& stream(size_t number) { return *streams.at(number); }
  bool receive(std::string_view bytes) { return session.receive(as_bytes(bytes), now_ms); }
  // What has been written since the last time, all of it or about so much.
  std::string take(size_t most = SIZE_MAX) {
    session.produce(most);
    return std::exchange(out, {});
  }
  std::vector<Frame> take_frames() { return frames_of(take()); }

  ChunkPool pool;
  std::vector<std::unique_ptr<TestStream>> streams;
  std::string out;
  std::string log;
  size_t writes = 0;
  int changes = 0;
  bool refuse = false;
  bool consume = true;
  bool is_server = true;
  std::function<void(TestStream&)> on_head, on_data, on_end, on_sent, on_closed;
  H2Session session;
  uint64_t now_ms;
};

struct ServerEnd : End {
  explicit ServerEnd(H2Limits limits = {}) : End(H2Session::Role::server, limits) {}
};
struct ClientEnd : End {
  explicit ClientEnd(H2Limits limits = {}) : End(H2Session::Role::client, limits) { is_server = false; }
  TestStream& open(std::string_view method = "GET", bool ended = true, std::string_view target = "/",
                   std::string_view protocol = {}) {
    TestStream& stream = add();
    stream.request_head.method = method;
    stream.request_head.target = target;
    stream.request_head.authority = "a.example";
    opened = session.open(stream, stream.request_head, "https", protocol, ended);
    return stream;
  }
  bool opened = false;
};

// Carries bytes until neither end has any.
inline void exchange(End& a, End& b) {
  for (int i = 0; i < 10000; ++i) {
    const std::string from_a = a.take();
    const std::string from_b = b.take();
    if (from_a.empty() && from_b.empty()) return;
    if (!from_a.empty()) b.receive(from_a);
    if (!from_b.empty()) a.receive(from_b);
  }
}

inline ResponseHead response(int status, Body body = Body::chunked) {
  ResponseHead head;
  head.status = status;
  head.body = body;
  return head;
}

inline std::string pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i / 7 + i / 16384) % 26);
  return out;
}

}  // namespace sallyport::http
