// Which servers of a service may get the next client, and why the others do not.
#pragma once
#include <string>
#include <vector>

#include "base/address.h"
#include "layers/service.h"

namespace sallyport {

struct ServerStanding {
  std::string server;
  bool takes = false;
  std::string why;
};

struct Standings {
  enum class Outcome : uint8_t {
    taken,   // by one of those that take it
    queued,  // all of them have their max_connections: the client waits for the first that comes free
    full,    // and nobody may wait
    nobody   // no server can be used
  };
  Outcome outcome = Outcome::nobody;
  std::vector<ServerStanding> servers;
  std::string how;  // how one is chosen among several
};

// client: empty where it is not known. now_ms: CLOCK_MONOTONIC, for what sticks.
Standings servers_for(const Service& service, const Address& client, uint64_t now_ms);

}  // namespace sallyport
