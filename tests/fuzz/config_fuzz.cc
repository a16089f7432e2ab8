// folders: config
// The input is a service's file once, gateway.yaml once, and both at a reload. Nothing crashes, each fault has a place
// and a text, what is read without fault is read the same again, and nobody serves what another serves.
#include <cstdlib>
#include <set>
#include <string>

#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void inspect(const Config& config) {
  for (const Fault& fault : config.faults) {
    require(!fault.at.file.empty() && !fault.message.empty() && !fault.text().empty());
    require((fault.at.line > 0) == (fault.at.column > 0));
    require(fault.excerpt.find_first_of("\r\n") == std::string::npos);
    // Only what has no text to point into is without a line.
    require(fault.at.line > 0 || fault.severity == Severity::warning ||
            fault.message.find("1 MiB") != std::string::npos);
  }
  require(config.has_errors() || config.left_out.empty());
  require(config.gateway_faulty <= config.has_errors());
  std::set<std::string> names;
  for (const Service& service : config.services) {
    require(names.insert(service.name).second);
    require(!service.listeners.empty() && !service.hosts.empty() && !service.paths.empty());
    require(service.hosts.size() == service.host_positions.size());
    require(service.servers.empty() == (service.mode == Mode::redirect));
    for (const std::string& listener : service.listeners) require(config.listener(listener) != nullptr);
  }
  for (const std::string& name : config.left_out) require(names.count(name) == 0);
}

void run(const std::string& text) {
  const char* other =
      "- { name: x, mode: edge, hosts: [a.b], servers: [c:80] }\n- { name: y, mode: ssh, servers: [d] }\n";
  Memory files{{"conf.d/x.yaml", text}, {"conf.d/y/z.yaml", other}, {"secret", "s3cret\n"}};
  files.set("NAME", "value").set("EMPTY", "");
  const Config first = files.load();
  inspect(first);
  const Config again = files.load(&first);
  inspect(again);
  for (size_t i = 0; i < first.services.size() && i < again.services.size(); ++i)
    require(first.services[i].fingerprint == again.services[i].fingerprint);

  Memory gateway{{"gateway.yaml", text}, {"conf.d/z.yaml", other}};
  const Config second = gateway.load();
  inspect(second);
  inspect(gateway.load(&again));
}

}  // namespace
}  // namespace sallyport::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sallyport::config::run(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
