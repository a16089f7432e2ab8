// Counters of all workers added up: of a service, of a server, of the gateway.
#pragma once
#include <array>
#include <cstdint>

#include "layers/service.h"
#include "runtime/control.h"

namespace sallyport {

struct ServiceTotals {
  uint64_t connections = 0, open = 0, requests = 0, errors = 0, retries = 0;
  uint64_t received_bytes = 0, sent_bytes = 0;
  std::array<uint64_t, 6> status{};  // by class; [0]: ended without one
};
ServiceTotals totals_of(const Service& service);

struct ServerTotals {
  uint64_t connections = 0, failures = 0, requests = 0, errors = 0;
  uint64_t received_bytes = 0, sent_bytes = 0;
};
ServerTotals totals_of(const Endpoint& endpoint);

struct GatewayTotals {
  uint64_t connections = 0, requests = 0, received_bytes = 0, sent_bytes = 0;
  uint64_t handshakes = 0, handshake_failures = 0, rejected = 0, server_errors = 0;
};
GatewayTotals totals_of(const Control& control);

}  // namespace sallyport
