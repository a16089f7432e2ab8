#include "cli/doctor/doctor.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "admin/explain.h"
#include "base/format.h"
#include "base/log.h"
#include "cli/admin_client.h"
#include "cli/asking.h"
#include "cli/doctor/certificates.h"
#include "cli/doctor/configuration.h"
#include "cli/doctor/machine.h"
#include "cli/doctor/network.h"
#include "cli/doctor/ports.h"
#include "cli/offline.h"
#include "net/resolver.h"
#include "runtime/client_variety.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kNetwork{4'000};
constexpr std::chrono::seconds kQuestion{2};
constexpr size_t kEnoughClients = 20;
constexpr std::array kGrades = {"ok", "warning", "problem"};

// What a running gateway tells of itself.
struct Told {
  RunningGateway gateway;
  std::string where;       // of an error: why nobody answers
  std::string one_client;  // all sessions have this private address
  std::string dry_run;     // what a reload would change
};

std::string one_client_of(const Json& list) {
  const Json& sessions = part_of(list, "sessions");
  if (!sessions.is_array() || sessions.size() < kEnoughClients) return {};
  std::string one;
  for (const Json& session : sessions) {
    const std::string client = text_in(session, "client");
    if (one.empty()) one = client;
    if (client.empty() || client != one) return {};
  }
  const auto address = Address::parse_ip(one, 0);
  return address && is_private(*address) ? one : std::string();
}

Told ask_gateway(const AdminClient& client) {
  Told out;
  const auto health = client.ask("GET", "/health", {}, kQuestion);
  if (!health) {
    out.where = health.error().detail;
    return out;
  }
  out.gateway.answers = true;
  if (auto status = client.ask("GET", "/api/v1/status", {}, kQuestion); status && status->status == 200) {
    const double pid = number_in(parse_json(status->body), "pid");
    if (pid >= 1 && pid <= INT_MAX) out.gateway.pid = static_cast<int>(pid);
  }
  if (auto list = client.ask("GET", "/api/v1/sessions?limit=1000", {}, kQuestion); list && list->status == 200)
    out.one_client = one_client_of(parse_json(list->body));
  if (auto report = client.ask("POST", "/api/v1/reload?dry_run=true", {}, kQuestion); report && report->status == 200)
    out.dry_run = report->body;
  return out;
}

Findings examine_gateway(const Told& told) {
  if (told.gateway.answers) return {{Grade::ok, "gateway", "a gateway runs and answers", ""}};
  return {{Grade::ok, "gateway", told.where, "start it, or name its socket with --socket"}};
}

Findings examine_machine(const config::Config& config, const Told& told) {
  Findings out;
  const config::Gateway& gateway = config.gateway;
  append(out, check_descriptors(descriptor_limit(told.gateway.pid), gateway.max_connections, told.gateway.pid != 0));
  append(out, check_clock(clock_synchronised(), std::chrono::system_clock::now()));
  FolderState state = look_at_folder(gateway.state_directory);
  state.gateway_runs = told.gateway.answers;
  append(out, check_state_folder(gateway.state_directory, state));
  std::set<std::string> named{gateway.certificates.default_certificate};
  for (const config::Service& service : config.services)
    named.insert({service.certificate, service.server_tls.ca, service.server_tls.client_certificate,
                  service.client_certificates.ca, service.client_certificates.crl});
  // Each with its folder.
  const size_t watches =
      folders_below(gateway.services_directory) + folders_below(gateway.certificates.directory) + 2 + 2 * named.size();
  append(out, check_watches(number_in_file("/proc/sys/fs/inotify/max_user_watches", UINT64_MAX),
                            number_in_file("/proc/sys/fs/inotify/max_user_instances", UINT64_MAX), watches));
  const bool proxied = std::any_of(config.listeners.begin(), config.listeners.end(),
                                   [](const config::Listener& l) { return !l.accept_proxy.empty(); }) ||
                       !gateway.trusted_proxies.empty();
  append(out, check_clients(in_container(), proxied, told.one_client));
  return out;
}

// The built-in listener for ssh is there when a service uses it.
std::vector<config::Listener> open_listeners(const config::Config& config) {
  std::vector<config::Listener> out;
  for (const config::Listener& listener : config.listeners) {
    const bool used = std::any_of(config.services.begin(), config.services.end(), [&](const config::Service& service) {
      return std::find(service.listeners.begin(), service.listeners.end(), listener.name) != service.listeners.end();
    });
    if (!listener.off && (used || listener.name != "ssh")) out.push_back(listener);
  }
  return out;
}

size_t count(const Findings& findings, Grade grade) {
  return static_cast<size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const Finding& one) { return one.grade == grade; }));
}

}  // namespace

std::string findings_text(const Findings& findings) {
  std::string out;
  for (const Finding& one : findings) {
    out += format("{:<8} {:<13} {}\n", kGrades[static_cast<size_t>(one.grade)], one.check, one.text);
    if (!one.advice.empty()) out += format("{:<22} -> {}\n", "", one.advice);
  }
  const size_t problems = count(findings, Grade::problem);
  const size_t warnings = count(findings, Grade::warning);
  return out + format("\n{} problem{}, {} warning{}\n", problems, problems == 1 ? "" : "s", warnings,
                      warnings == 1 ? "" : "s");
}

std::string findings_json(const Findings& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& one : findings) {
    nlohmann::json entry{{"grade", kGrades[static_cast<size_t>(one.grade)]}, {"check", one.check}, {"text", one.text}};
    if (!one.advice.empty()) entry["advice"] = one.advice;
    list.push_back(std::move(entry));
  }
  const nlohmann::json out{{"findings", std::move(list)},
                           {"problems", count(findings, Grade::problem)},
                           {"warnings", count(findings, Grade::warning)}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

int doctor_command(const DoctorOptions& options) {
  log::set_level(log::Level::error);  // what is found is told once, below
  const auto snapshot = snapshot_offline(options.directory);
  const config::Config& config = snapshot->config;
  NetworkFacts facts;
  std::thread asking([&] { facts = look_around(*snapshot, kNetwork); });
  const Told told = ask_gateway(AdminClient(options.directory, options.socket));

  Findings findings = check_configuration(*snapshot);
  append(findings, examine_gateway(told));
  append(findings, check_differences(told.dry_run));
  append(findings, check_ports_here(open_listeners(config), told.gateway));
  append(findings, check_certificates(*snapshot, std::chrono::system_clock::now()));
  append(findings, examine_machine(config, told));
  asking.join();
  append(findings, check_names(facts.names, own_addresses()));
  append(findings, check_servers(facts.servers));
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.grade > b.grade; });
  const std::string text = options.json ? findings_json(findings) : findings_text(findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const int code = count(findings, Grade::problem) > 0 ? 1 : 0;
  if (Resolver::pending() > 0) {  // nobody waits for a name server that is silent
    std::fflush(stdout);
    std::_Exit(code);
  }
  return code;
}

}  // namespace sallyport
