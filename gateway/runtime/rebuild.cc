#include "runtime/rebuild.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string_view>

#include "base/format.h"
#include "config/load.h"
#include "runtime/state_files.h"

namespace sallyport {
namespace {

void compare(const Snapshot& before, const Snapshot& after, ReloadReport& report) {
  for (const auto& service : after.services) {
    const auto old = before.service(service->config.name);
    if (!old)
      report.added.push_back(service->config.name);
    else if (old != service)
      report.changed.push_back(service->config.name);
  }
  for (const auto& service : before.services)
    if (!after.service(service->config.name)) report.removed.push_back(service->config.name);
  for (const config::Service& service : after.config.kept) report.kept.push_back(service.name);
}

std::vector<std::string> what_needs_a_restart(const config::Gateway& before, const config::Gateway& after) {
  std::vector<std::string> out;
  if (before.workers != after.workers) out.emplace_back("workers");
  if (before.state_directory != after.state_directory) out.emplace_back("state");
  if (before.admin.bind != after.admin.bind || before.admin.socket != after.admin.socket)
    out.emplace_back("admin.bind and admin.socket");
  for (std::string& what : out) what += ": takes effect with a restart";
  return out;
}

}  // namespace

std::string cookie_secret_for(const config::Config& config, std::string known, std::string& problem) {
  using By = config::Sticky::By;
  const bool wanted = std::any_of(config.services.begin(), config.services.end(),
                                  [](const config::Service& service) { return service.sticky.by == By::cookie; });
  if (!wanted || !known.empty()) return known;
  if (auto made = StateFiles(config.gateway.state_directory).cookie_secret(known); !made)
    problem = made.error().text() + ": sticky cookies are forgotten with a restart";
  return known;
}

Rebuilt rebuild(const RebuildInput& input) {
  Rebuilt out;
  config::Config config = config::load(input.directory, &input.serving->config);
  std::string problem;
  out.cookie_secret = cookie_secret_for(config, input.cookie_secret, problem);
  if (!problem.empty()) out.warnings.push_back(std::move(problem));
  out.snapshot = build_snapshot(std::move(config), input.tickets, input.serving.get(), out.cookie_secret);
  const config::Config& now = out.snapshot->config;
  for (std::string& warning : what_needs_a_restart(input.serving->config.gateway, now.gateway))
    out.warnings.push_back(std::move(warning));
  compare(*input.serving, *out.snapshot, out.report);
  out.report.faults = now.faults;
  out.report.certificates = out.snapshot->tls_contexts_made;
  out.report.result = now.gateway_faulty     ? ReloadReport::Result::refused
                      : now.has_errors() ? ReloadReport::Result::partial
                                             : ReloadReport::Result::ok;
  return out;
}

FileWatcher::Paths watched_of(const Snapshot& snapshot) {
  const config::Config& config = snapshot.config;
  FileWatcher::Paths out;
  out.folders = {config.gateway.services_directory, config.gateway.certificates.directory};
  // Beside gateway.yaml stand secrets and what a file with a fault names; beside a certificate its key and its chain.
  std::set<std::filesystem::path> flat{config.directory}, files{config.directory / config::kGatewayFile};
  const auto note_certificate = [&](const std::string& file) {
    if (!file.empty()) flat.insert(std::filesystem::path(file).parent_path());
  };
  const auto note = [&](const std::string& file) {
    if (!file.empty()) files.insert(file);
  };
  note_certificate(config.gateway.certificates.default_certificate);
  for (const auto& service : snapshot.services) {
    const config::Service& now = service->config;
    note_certificate(now.certificate);
    note_certificate(now.server_tls.client_certificate);
    note(now.server_tls.ca);
    note(now.client_certificates.ca);
    note(now.client_certificates.crl);
  }
  out.flat.assign(flat.begin(), flat.end());
  out.files.assign(files.begin(), files.end());
  return out;
}

}  // namespace sallyport
