// WebSockets, and other protocols asked for by name, between HTTP/1.1's Upgrade (RFC 6455, RFC 9110 section 7.8) and
// HTTP/2's extended CONNECT (RFC 8441). A request that asks for one is kept as HTTP/1.1 has it: GET, wants_upgrade, an
// Upgrade field.
#pragma once
#include "http/message.h"

namespace sallyport {

// An extended CONNECT, as the client's HTTP/2 stream began it, becomes such a request.
void make_upgrade_request(http::RequestHead& request);
// Before it goes to an HTTP/1.1 server: the handshake needs a key of its own when the client had none.
void complete_websocket_request(http::RequestHead& request);
// The 101 of an HTTP/1.1 server becomes the 200 an HTTP/2 client waits for. False: the server's Sec-WebSocket-Accept
// does not belong to the key that was sent.
bool make_connect_response(const http::RequestHead& request, http::ResponseHead& response);
// The 2xx of an HTTP/2 server becomes the 101 an HTTP/1.1 client waits for.
void make_upgrade_response(const http::RequestHead& request, http::ResponseHead& response);

}  // namespace sallyport
