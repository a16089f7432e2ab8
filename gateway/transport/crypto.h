// Digests and encodings that protocols beside TLS ask for.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace sallyport {

// For protocols that prescribe it (RFC 6455 section 4.2.2), never for security.
std::array<uint8_t, 20> sha1(Bytes bytes) noexcept;
// RFC 2104 with SHA-256.
std::array<uint8_t, 32> hmac_sha256(Bytes key, Bytes text) noexcept;
// For keys. False: the system has none to give.
bool random_bytes(uint8_t* out, size_t count) noexcept;
// RFC 4648 section 4, with padding.
std::string base64(Bytes bytes);

}  // namespace sallyport
