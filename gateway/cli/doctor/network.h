// What can only be found out by asking: names, and whether servers answer in the protocol they are spoken to. All at
// once, on a loop of its own.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/doctor/finding.h"
#include "cli/doctor/host_names.h"
#include "runtime/snapshot.h"
#include "upstream/health_check.h"

namespace sallyport {

// How a server is asked: as its own checks do, or, where there are none or they only connect, as traffic would begin.
std::shared_ptr<const HealthPlan> probe_plan(const Service& service, std::chrono::milliseconds timeout);

struct ProbedServer {
  std::string service, server;
  bool written_as_name = false;
  bool asked = false;  // there was time, and it has an address
  HealthCheck::Outcome outcome;
};
// Of each service the servers together: one of several is a warning, all of them are a problem.
Findings check_servers(const std::vector<ProbedServer>& servers);

struct NetworkFacts {
  std::vector<NameAnswer> names;
  std::vector<ProbedServer> servers;
};
// Takes no longer than `most`. Then its loop may be left behind with lookups that nobody answers.
NetworkFacts look_around(const Snapshot& snapshot, std::chrono::milliseconds most);

}  // namespace sallyport
