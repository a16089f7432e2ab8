// The servers behind one service, and how to reach them. Built with the snapshot and constant from then on.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "transport/tls_context.h"
#include "upstream/endpoint.h"
#include "upstream/protocol_hint.h"
#include "upstream/server_queue.h"
#include "upstream/sticky.h"

namespace sallyport {

struct Upstream {
  std::string service;
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  config::Balance balance = config::Balance::round_robin;
  config::Timeouts timeouts;
  config::Milliseconds slow_start{0};
  int retries = 3;
  config::RetryOn retry_on;
  config::Health health;     // checks, and the rules of what traffic meets
  SslCtxPtr health_tls;      // null: checks go in the clear
  config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
  bool transparent = false;              // connect from the client's address
  std::shared_ptr<ServerQueue> queue;    // where a server has max_connections; else null
  config::Queue queue_limits;
  std::shared_ptr<StickyTable> sticky;   // sticky by source; else null
  std::string cookie;                    // sticky by cookie: its name; else empty
  std::vector<std::string> cookie_values;  // likewise, of each endpoint
  // HTTP: auto_ is ALPN's choice, and with TLS only; h2 without TLS is by prior knowledge.
  config::HttpProtocol protocol = config::HttpProtocol::http1;
  SslCtxPtr tls;         // null: plain
  SslCtxPtr tls_http1;   // auto_: offers http/1.1 alone, for what needs a connection of its own; else null
  std::string tls_name;  // SNI and name to verify; empty: the client's host, else the server's host name
  bool tls_verify = true;
  ServerSide side;  // how traffic goes there: for advice when it fails
};

}  // namespace sallyport
