// Digests and encodings that protocols beside TLS ask for.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace sallyport {

// For protocols that prescribe it (RFC 6455 section 4.2.2), never for security.
std::array<uint8_t, 20> sha1(Bytes bytes) noexcept;
// RFC 4648 section 4, with padding.
std::string base64(Bytes bytes);

}  // namespace sallyport
