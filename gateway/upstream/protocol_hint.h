// The classic mistake, told apart from a server that is out of order: plain bytes for a server that speaks TLS, or TLS
// for one that does not. Pure functions over what was seen; for checks and for live traffic.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "config/model.h"

namespace sallyport {

enum class ProtocolHint : uint8_t {
  none,
  speaks_tls,  // it was spoken to in the clear
  no_tls,      // it was greeted with a ClientHello
};

// An alert record (RFC 8446 section 5.1): how a TLS server answers bytes that are no ClientHello. Three bytes decide.
bool is_tls_alert(Bytes first_bytes) noexcept;
bool may_become_tls_alert(Bytes first_bytes) noexcept;

// Those web servers that answer plain HTTP on their TLS port say so in the body of a 400.
ProtocolHint hint_of_response(int status, std::string_view body) noexcept;
// reason: Transport::tls_failure().
ProtocolHint hint_of_tls_failure(std::string_view reason) noexcept;

// How traffic goes to the servers of a service.
struct ServerSide {
  config::Mode mode = config::Mode::http;
  bool tls = false;  // that is where the TLS of reencrypt, passthrough and server_tls goes
};
ServerSide server_side(const config::Service& service) noexcept;

// What to change, as the whole of a reason: "this server speaks TLS: use mode reencrypt". Static text; "" for none.
// check_tls: whether the check (or the traffic itself) spoke TLS; where it did not do as traffic does, the check is
// what is to be changed.
std::string_view advice(ProtocolHint hint, ServerSide side, bool check_tls, config::Health::Type type) noexcept;
// The same for what traffic itself has met.
std::string_view advice(ProtocolHint hint, ServerSide side) noexcept;

}  // namespace sallyport
