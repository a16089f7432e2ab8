#include "http/h2_goodbye.h"

#include <nghttp2/nghttp2.h>

namespace sallyport::http {
namespace {

void append_u32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

// RFC 9113 section 4.1: length (24 bits), type, flags, stream 0.
void append_frame_header(std::string& out, uint32_t length, nghttp2_frame_type type) {
  append_u32(out, length << 8 | static_cast<uint32_t>(type));
  out += '\0';
  append_u32(out, 0);
}

}  // namespace

std::string h2_goodbye() {
  std::string out;
  append_frame_header(out, 0, NGHTTP2_SETTINGS);
  append_frame_header(out, 8, NGHTTP2_GOAWAY);
  append_u32(out, 0);  // the last stream that was looked at: none
  append_u32(out, NGHTTP2_HTTP_1_1_REQUIRED);
  return out;
}

}  // namespace sallyport::http
