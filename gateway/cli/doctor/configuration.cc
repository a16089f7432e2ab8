#include "cli/doctor/configuration.h"

#include <algorithm>

#include "admin/explain.h"
#include "base/format.h"

namespace sallyport {
namespace {

constexpr size_t kMostTold = 20;

std::string place(const config::Position& at) {
  return at.line > 0 ? format("{}:{}:{}", at.file, at.line, at.column) : at.file;
}

// Told under "certificates", with days and advice of their own.
bool is_of_certificates(const Snapshot& snapshot, const config::Fault& fault) {
  if (fault.severity == config::Severity::error) return false;
  if (fault.message.starts_with("this certificate ") || fault.message.starts_with("no certificate covers")) return true;
  const auto& problems = snapshot.certs->problems();
  return std::any_of(problems.begin(), problems.end(), [&](const CertProblem& problem) {
    return problem.file == fault.at.file && problem.message == fault.message;
  });
}

}  // namespace

Findings check_configuration(const Snapshot& snapshot) {
  const config::Config& config = snapshot.config;
  Findings out;
  size_t told = 0;
  size_t errors = 0;
  for (const config::Fault& fault : config.faults) {
    if (is_of_certificates(snapshot, fault)) continue;
    const bool error = fault.severity == config::Severity::error;
    if (error) ++errors;
    if (++told > kMostTold) continue;
    const char* advice = !error                  ? ""
                         : fault.service.empty() ? "mend it: with a fault in gateway.yaml the gateway does not start"
                                                 : "mend it: until then the service is left out";
    out.push_back({error ? Grade::problem : Grade::warning, "configuration",
                   format("{}: {}", place(fault.at), fault.message), advice});
  }
  if (told > kMostTold)
    out.push_back({errors > 0 ? Grade::problem : Grade::warning, "configuration",
                   format("and {} more", told - kMostTold), "`sallyport check` tells all of them"});
  if (out.empty())
    out.push_back({Grade::ok, "configuration",
                   format("{} service{}, no fault", config.services.size(), config.services.size() == 1 ? "" : "s"),
                   ""});
  return out;
}

Findings check_differences(const std::string& answer) {
  const nlohmann::json report = nlohmann::json::parse(answer, nullptr, false);
  if (!report.is_object() || !report.contains("result")) return {};
  std::string changes;
  for (const char* kind : {"added", "changed", "removed"}) {
    if (!report.contains(kind) || !report[kind].is_array() || report[kind].empty()) continue;
    std::string names;
    for (const auto& name : report[kind])
      if (name.is_string() && names.size() < 100) names += (names.empty() ? "" : ", ") + name.get<std::string>();
    changes += format("{}{}: {}", changes.empty() ? "" : "; ", kind, names);
  }
  Finding found{Grade::ok, "reload", "the running gateway has what the files say", ""};
  if (!changes.empty())
    found = Finding{Grade::warning, "reload", format("the running gateway has another state than the files: {}", changes),
                    "`sallyport reload`"};
  return Findings{std::move(found)};
}

}  // namespace sallyport
