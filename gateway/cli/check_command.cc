#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/format.h"
#include "cli/commands.h"
#include "config/load.h"
#include "net/resolver.h"
#include "runtime/snapshot.h"

namespace sallyport {
namespace {

void warn_of_names(const Snapshot& snapshot, std::vector<config::Fault>& faults) {
  std::map<std::pair<bool, std::string>, bool> known;  // by name, and whether its SRV records were asked for
  for (const auto& service : snapshot.services)
    for (const config::Server& server : service->config.servers) {
      if (server.host.empty() || !server.unix_path.empty() || Address::parse_ip(server.host, 0)) continue;
      const bool srv = service->config.resolve == config::Resolve::srv;
      auto [it, fresh] = known.try_emplace({srv, server.host}, false);
      if (fresh) it->second = srv ? resolve_srv_now(server.host).ok() : resolve_now(server.host, server.port).ok();
      if (it->second) continue;
      config::Fault fault;
      fault.severity = config::Severity::warning;
      fault.at = server.at;
      fault.service = service->config.name;
      fault.message = format("\"{}\" does not resolve: its service answers 503 until it does", server.host);
      faults.push_back(std::move(fault));
    }
}

}  // namespace

int check_command(const std::filesystem::path& directory) {
  auto snapshot = build_snapshot(config::load(directory), std::make_shared<TicketKeys>());
  std::vector<config::Fault> faults = snapshot->config.faults;
  warn_of_names(*snapshot, faults);
  bool errors = snapshot->config.gateway_faulty;
  for (const config::Fault& fault : faults) {
    std::string text = fault.text();
    if (text.empty() || text.back() != '\n') text += '\n';
    std::fputs(text.c_str(), stderr);
    if (fault.severity == config::Severity::error) errors = true;
  }
  size_t good = snapshot->services.size();
  std::string summary = format("{} service{} good", good, good == 1 ? "" : "s");
  if (!snapshot->config.left_out.empty()) {
    summary += format(", {} left out:", snapshot->config.left_out.size());
    for (const std::string& name : snapshot->config.left_out) summary += " " + name;
  }
  std::printf("%s\n", summary.c_str());
  return errors ? 1 : 0;
}

}  // namespace sallyport
