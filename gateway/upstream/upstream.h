// The servers behind one service, and how to reach them. Built with the snapshot and constant from then on.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "transport/tls_context.h"
#include "upstream/endpoint.h"

namespace sallyport {

struct Upstream {
  std::string service;
  size_t index = 0;  // its place in the snapshot: where each worker keeps what it knows of it
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  config::Balance balance = config::Balance::round_robin;
  config::Timeouts timeouts;
  int retries = 3;
  config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
  // HTTP: auto_ is ALPN's choice, and with TLS only; h2 without TLS is by prior knowledge.
  config::HttpProtocol protocol = config::HttpProtocol::http1;
  SslCtxPtr tls;         // null: plain
  SslCtxPtr tls_http1;   // auto_: offers http/1.1 alone, for what needs a connection of its own; else null
  std::string tls_name;  // SNI and name to verify; empty: the client's host, else the server's host name
  bool tls_verify = true;
};

}  // namespace sallyport
