// What a connection's first bytes are. Pure functions; no allocation.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sallyport {

enum class Sniff : uint8_t {
  need_more,
  tls,         // a handshake record, RFC 8446 section 5.1
  http1,       // a request line, RFC 9112 section 3
  h2_preface,  // RFC 9113 section 3.4
  ssh,         // "SSH-2.0-" or "SSH-1.99-", RFC 4253 section 4.2
  other,
};

// Answers within kSniffBytes; with fewer it may need more. Empty input needs more. An answer never changes with more
// bytes.
inline constexpr size_t kSniffBytes = 40;
Sniff sniff(Bytes seen) noexcept;

}  // namespace sallyport
