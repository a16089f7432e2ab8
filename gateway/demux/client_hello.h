// Reads the server name and the protocols offered out of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3,
// RFC 7301) without OpenSSL: before any TLS state exists, and however the bytes are cut into TCP segments and TLS
// records.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sallyport {

struct ClientHello {
  enum class Sni : uint8_t { none, name, ip_literal, invalid };
  Sni sni_kind = Sni::none;
  std::string sni;  // normalised (lower case, no trailing dot) when sni_kind is name; else as sent, up to 255 bytes
  bool offers_h2 = false;     // ALPN "h2"
  bool offers_http1 = false;  // ALPN "http/1.1"
  bool offers_acme = false;   // ALPN "acme-tls/1", RFC 8737
  bool has_alpn = false;
  uint16_t max_version =
      0;  // the highest version offered, 0x0304 for TLS 1.3; GREASE and what is not TLS ignored; 0: none
};

enum class HelloParse : uint8_t { done, need_more, malformed, too_large };

// How far a parse that needs more has come: keep one per connection and hand it to every call, and all calls together
// look at each record once, even when a hello arrives byte by byte in records of one byte. Belongs to one growing
// `seen`.
struct HelloProgress {
  uint32_t at_least = 0;      // calls with fewer bytes than this answer need_more without looking
  uint32_t record = 0;        // where the first record that is not yet used up begins
  uint32_t message_seen = 0;  // handshake bytes before that record
  uint32_t header = 0;        // of those, the first 4: type and length
};

// `seen` is everything received so far, from the first byte: call again with more when it answers need_more. Bounded: a
// handshake message over 64 KiB is too_large; records are reassembled, alerts and other types before the end are
// malformed. What follows the message is not looked at. `out` is filled when done. `why` (static text) when malformed
// or too_large. Allocates only for a name too long for the string itself.
HelloParse parse_client_hello(Bytes seen, ClientHello& out, const char** why = nullptr,
                              HelloProgress* progress = nullptr);

// parse_client_hello() looks at no more bytes than this and by then has an answer. A hello cut into records so small
// that it does not end within them is too_large; one of 16 KiB may come in records of one byte.
inline constexpr size_t kMaxHelloBytes = 128 * 1024;

}  // namespace sallyport
