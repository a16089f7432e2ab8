#include "cli/doctor/certificates.h"

#include <algorithm>

#include "base/format.h"

namespace sallyport {
namespace {

using config::Mode;
constexpr auto kSoon = std::chrono::hours(24 * 30);

long days(std::chrono::system_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::hours>(time).count() / 24;
}

void check_times(const Certificate& certificate, std::chrono::system_clock::time_point now, Findings& out) {
  const auto left = certificate.not_after - now;
  if (left.count() < 0)
    out.push_back({Grade::problem, "certificates",
                   format("{} expired {} days ago", certificate.file, days(now - certificate.not_after)),
                   "replace the file; clients refuse it"});
  else if (certificate.not_before > now)
    out.push_back({Grade::problem, "certificates",
                   format("{} is not valid yet, for {} more hours", certificate.file,
                          std::chrono::duration_cast<std::chrono::hours>(certificate.not_before - now).count() + 1),
                   "is this machine's clock right? Else wait, or use another certificate"});
  else if (left < kSoon)
    out.push_back({Grade::warning, "certificates", format("{} ends in {} days", certificate.file, days(left)),
                   "renew it: a new file in its place is enough"});
}

}  // namespace

Findings check_certificates(const Snapshot& snapshot, std::chrono::system_clock::time_point now) {
  Findings out;
  for (const auto& certificate : snapshot.certs->all()) check_times(*certificate, now, out);
  const bool ends_tls = std::any_of(snapshot.services.begin(), snapshot.services.end(), [](const auto& service) {
    return service->config.mode == Mode::edge || service->config.mode == Mode::reencrypt;
  });
  for (const CertProblem& problem : snapshot.certs->problems())
    out.push_back({ends_tls ? Grade::problem : Grade::warning, "certificates",
                   format("{}: {}", problem.file, problem.message),
                   "the gateway must be able to read certificate and key, and they must belong together"});
  const bool by_default = !snapshot.config.gateway.certificates.default_certificate.empty();
  for (const auto& service : snapshot.services) {
    const config::Service& config = service->config;
    if ((config.mode != Mode::edge && config.mode != Mode::reencrypt) || !config.certificate.empty() || by_default)
      continue;
    for (const std::string& host : config.hosts)
      if (host != "*" && snapshot.certs->match(host).empty())
        out.push_back({Grade::problem, "certificates",
                       format("no certificate covers {} (service {})", host, config.name),
                       "put one into the certificates folder, or `sallyport certs issue " + host + "`"});
  }
  if (out.empty())
    out.push_back({Grade::ok, "certificates",
                   format("{} certificate{}, none ends within 30 days", snapshot.certs->all().size(),
                          snapshot.certs->all().size() == 1 ? "" : "s"),
                   ""});
  return out;
}

}  // namespace sallyport
