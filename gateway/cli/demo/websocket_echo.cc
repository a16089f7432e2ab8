#include "cli/demo/websocket_echo.h"

#include <algorithm>

#include "transport/crypto.h"

namespace sallyport::demo {
namespace {

// A close frame with code 1002, protocol error.
constexpr std::string_view kProtocolError{"\x88\x02\x03\xea", 4};

void append_header(std::string& out, uint8_t first, uint64_t size) {
  out += static_cast<char>(first);
  int bytes = size < 126 ? 0 : size <= 0xFFFF ? 2 : 8;
  out += static_cast<char>(bytes == 0 ? size : bytes == 2 ? 126u : 127u);
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(size >> (8 * i) & 0xFF);
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  return base64(sha1(as_bytes(text)));
}

bool WebSocketEcho::feed(Bytes input, std::string& out) {
  for (;;) {
    if (!in_payload_) {
      while (header_size_ < header_wanted_ && !input.empty()) {
        header_[header_size_++] = input.front();
        input = input.subspan(1);
      }
      if (header_size_ < header_wanted_) return true;
      if (header_wanted_ == 2) {
        // Section 5.2: the second byte tells how long the length is; 4 bytes of mask follow.
        const uint8_t length = header_[1] & 0x7F;
        header_wanted_ += 4u + (length == 126 ? 2u : length == 127 ? 8u : 0u);
        continue;
      }
      if (!read_header(out)) {
        out += kProtocolError;
        return false;
      }
    }
    const auto count = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
    const uint8_t* mask = header_ + header_size_ - 4;
    if (opcode_ != kPong)
      for (size_t i = 0; i < count; ++i) out += static_cast<char>(input[i] ^ mask[(mask_at_ + i) & 3]);
    mask_at_ += count;
    left_ -= count;
    input = input.subspan(count);
    if (left_ > 0) return true;
    if (opcode_ == kClose) return false;
    in_payload_ = false;
    header_size_ = 0;
    header_wanted_ = 2;
  }
}

// False for a frame that no client may send: reserved bits, an unknown opcode, no mask, a control frame in parts or too
// long.
bool WebSocketEcho::read_header(std::string& out) {
  opcode_ = header_[0] & 0x0F;
  const bool control = opcode_ >= kClose;
  if ((header_[0] & 0x70) != 0 || (header_[1] & 0x80) == 0) return false;
  if (control ? opcode_ > kPong : opcode_ > kBinary) return false;
  left_ = header_[1] & 0x7F;
  if (control && (left_ > 125 || (header_[0] & 0x80) == 0)) return false;
  if (left_ >= 126) {
    const size_t bytes = left_ == 126 ? 2 : 8;
    left_ = 0;
    for (size_t i = 0; i < bytes; ++i) left_ = left_ << 8 | header_[2 + i];
    if (left_ >> 63 != 0) return false;
  }
  mask_at_ = 0;
  in_payload_ = true;
  if (opcode_ == kPong) return true;
  append_header(out, opcode_ == kPing ? 0x80 | kPong : header_[0], left_);
  return true;
}

}  // namespace sallyport::demo
