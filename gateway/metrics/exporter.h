// The workers' counters, and the state of servers, in Prometheus's text format.
#pragma once
#include <string>
#include <vector>

#include "metrics/counters.h"

namespace sallyport {

struct ServerState {
  std::string service;
  std::string server;
  bool up = true;  // may be given clients
};

// Adds the workers up. Every name begins with sallyport_; labels are bounded.
std::string export_metrics(const std::vector<const Counters*>& workers, uint64_t log_lines_dropped,
                           const std::vector<ServerState>& servers = {});

}  // namespace sallyport
