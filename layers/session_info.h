// What a session is doing at the moment, for who asks: the admin interface. Filled on the session's worker; the views
// are good until it goes on.
#pragma once
#include <cstdint>
#include <string_view>

namespace sallyport {

class Endpoint;
struct Service;

struct SessionInfo {
  // Of an HTTP/2 connection, which may ask several at once: the one to tell of, if it is among them. Set by who asks.
  std::string_view wanted_service;

  const char* protocol = "";  // tls (passed through), h1, h2, ssh, tcp, sniffing, handshake
  const char* state = "";     // opening, open, idle (between requests), closing
  const Service* service = nullptr;
  const Endpoint* endpoint = nullptr;  // of a relay
  std::string_view server;             // of a request
  std::string_view host, path;         // of the current request, or the newest of them
  uint64_t requests = 0;
  uint64_t streams = 0;      // requests in flight, over HTTP/2
  uint64_t active_ms = 0;    // of the loop's clock: when something happened last; 0: it is not known
};

}  // namespace sallyport
