// What DNS says a name stands for.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"

namespace sallyport {

// One SRV record (RFC 2782), and where its target is.
struct SrvTarget {
  std::string host;
  uint16_t port = 0;
  uint16_t priority = 0;           // the lowest is used first
  uint16_t weight = 0;             // among those of one priority
  std::vector<Address> addresses;  // with the port; empty: the target did not resolve this time
};

struct Resolved {
  std::vector<Address> addresses;  // of a host: each once, in the order of preference (RFC 6724), with the port
  std::vector<SrvTarget> targets;  // of a service: by priority
  std::chrono::seconds ttl{0};     // the shortest of all records; 0 for what /etc/hosts says
};

}  // namespace sallyport
