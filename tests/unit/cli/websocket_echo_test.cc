#include "cli/demo/websocket_echo.h"

#include "catch.h"

using namespace sallyport;
using namespace sallyport::demo;

namespace {

// A client's frame, masked.
std::string masked(uint8_t first, std::string_view payload) {
  static constexpr uint8_t kMask[] = {0x37, 0xfa, 0x21, 0x3d};
  std::string out(1, static_cast<char>(first));
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else {
    const int bytes = payload.size() <= 0xFFFF ? 2 : 8;
    out += static_cast<char>(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(payload.size() >> (8 * i) & 0xFF);
  }
  for (uint8_t byte : kMask) out += static_cast<char>(byte);
  for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ kMask[i & 3]);
  return out;
}

// The same frame as a server sends it.
std::string plain(uint8_t first, std::string_view payload) {
  std::string out = masked(first, payload);
  const size_t header = out.size() - payload.size() - 4;
  out[1] = static_cast<char>(out[1] & 0x7F);
  return out.substr(0, header) + std::string(payload);
}

}  // namespace

TEST_CASE("websocket: the accept value of RFC 6455 section 1.3") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("websocket: a frame of any length comes back, however it is cut") {
  for (size_t size : {0u, 1u, 5u, 125u, 126u, 300u, 65'535u, 65'536u, 70'001u})
    for (size_t step : {1u, 7u, 100'000u}) {
      CAPTURE(size, step);
      std::string payload;
      for (size_t i = 0; i < size; ++i) payload += static_cast<char>(i * 7);
      const std::string frame = masked(0x82, payload);
      WebSocketEcho echo;
      std::string out;
      for (size_t at = 0; at < frame.size(); at += step)
        REQUIRE(echo.feed(as_bytes(std::string_view(frame).substr(at, step)), out));
      CHECK(out == plain(0x82, payload));
    }
}

TEST_CASE("websocket: fragments, a ping between them, a pong, a close") {
  WebSocketEcho echo;
  std::string out;
  CHECK(echo.feed(
      as_bytes(masked(0x01, "he") + masked(0x89, "are you there") + masked(0x8A, "unasked") + masked(0x80, "llo")),
      out));
  CHECK(out == plain(0x01, "he") + plain(0x8A, "are you there") + plain(0x80, "llo"));
  out.clear();
  CHECK_FALSE(echo.feed(as_bytes(masked(0x88, "\x03\xe8 bye") + masked(0x81, "too late")), out));
  CHECK(out == plain(0x88, "\x03\xe8 bye"));
}

TEST_CASE("websocket: what no client may send ends it") {
  const std::string unmasked = plain(0x81, "hello");
  const std::string rows[] = {
      unmasked + "xxxx",  // no mask
      masked(0xC1, "reserved bit"),
      masked(0x83, "opcode 3"),
      masked(0x8B, "opcode 11"),
      masked(0x09, "ping in parts"),
      masked(0x89, std::string(126, 'p')),                    // a long ping
      std::string("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14),  // a length beyond 63 bits
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    WebSocketEcho echo;
    std::string out;
    CHECK_FALSE(echo.feed(as_bytes(row), out));
    CHECK(out == plain(0x88, "\x03\xea"));
  }
}
