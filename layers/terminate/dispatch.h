// Where a request goes: the same for every version of HTTP.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "http/reply.h"
#include "layers/terminate/exchange.h"

namespace sallyport {

// Routes exchange.request, and notes in the exchange what the log wants to know. client_rule: what the client's
// certificate was checked by, as its SNI decided. The answer (the worker's, until the next call), if no server is to be
// asked; else exchange.service is set and the request is as the server should see it: begin().
const http::Reply* dispatch(Client& client, Exchange& exchange, std::string_view client_rule);

// After a reload: whether a client whose TLS ended under this rule would be treated so now. Its requests are routed anew
// in any case.
bool same_rule(const Client& client, std::string_view client_rule);

// Server connections kept for one client: authenticated ones (NTLM), or such as have told its address (PROXY protocol).
// Each goes on for the service and the name it was made for only.
class PinnedConnections {
 public:
  explicit PinnedConnections(size_t most) noexcept : most_(most) {}
  // Before begin(): offers the exchange a connection, if one fits.
  void offer(Exchange& exchange);
  // After release(): keeps what the exchange leaves.
  void keep(Exchange& exchange);
  // Those of services that are served no longer, or otherwise.
  void forget_retired();

 private:
  struct Pinned {
    ServiceUse service;
    std::string key;
    ServerConnection connection;
  };
  std::vector<Pinned> pinned_;
  size_t most_;
};

}  // namespace sallyport
