// The server's side of a WebSocket (RFC 6455) that gives everything back.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sallyport::demo {

// Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2).
std::string websocket_accept(std::string_view key);

// Frames in, the same frames out, unmasked and as they come: a frame of any size passes without being held. Pings
// become pongs; a close is answered and ends it.
class WebSocketEcho {
 public:
  // Appends to out what goes back. False: send it, then close.
  bool feed(Bytes input, std::string& out);

 private:
  static constexpr uint8_t kContinuation = 0x0, kBinary = 0x2, kClose = 0x8, kPing = 0x9, kPong = 0xA;
  bool read_header(std::string& out);

  uint8_t header_[14] = {};
  size_t header_size_ = 0;
  size_t header_wanted_ = 2;
  uint8_t opcode_ = 0;
  uint64_t left_ = 0;  // payload bytes of the frame still to come
  uint64_t mask_at_ = 0;
  bool in_payload_ = false;
};

}  // namespace sallyport::demo
