// What a request and a response look like on the other side: hop-by-hop fields go, who the client is goes along.
#pragma once
#include <span>
#include <string_view>

#include "base/address.h"
#include "http/message.h"

namespace sallyport::http {

struct ForwardedFor {
  Address peer;               // the client's address as the connection shows it (PROXY source or socket peer), unmapped
  bool peer_trusted = false;  // its X-Forwarded-* and Forwarded are believed and extended, not replaced
  bool tls = false;           // the client speaks TLS to us
  uint16_t port = 0;          // the port the client sees, for X-Forwarded-Port
  Address client{};  // whom the request is from, for X-Real-IP: client_address() of a trusted peer; empty: peer
};

// Removes hop-by-hop fields (RFC 9110 section 7.6.1: Connection, those it names, Keep-Alive, Proxy-Connection,
// Proxy-Authenticate, Proxy-Authorization, TE except "trailers", Transfer-Encoding, Upgrade unless `upgrade`,
// HTTP2-Settings), then sets X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP. Untrusted peer: those fields and
// Forwarded are replaced or dropped. Trusted: For is extended; Proto, Host, Port and X-Real-IP are kept where present
// (a kept Proto without a Port gets that scheme's usual one); Forwarded is dropped. A peer without an IP address (a
// unix socket) adds nothing to For. A Connection header cannot remove the X-Forwarded-* we set, Host, or framing. Names
// that differ from one of these only by "_" for "-" are dropped: many servers take them for the same.
void forward_request(RequestHead& head, const ForwardedFor& from, bool upgrade);
// Removes hop-by-hop fields likewise (Proxy-Authenticate stays in a 407, Upgrade in a 426), and adds a missing Date.
void forward_response(ResponseHead& head, bool upgrade);

// Whom a request is from: peer, unless it is in `trusted`; then the rightmost address of X-Forwarded-For (or, without
// that, of Forwarded's for=) that is not in trusted; peer again if there is none, or if what stands there is no
// address.
Address client_address(const HeaderList& fields, const Address& peer, std::span<const Network> trusted);

}  // namespace sallyport::http
