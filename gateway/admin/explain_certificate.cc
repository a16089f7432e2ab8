#include "admin/explain_certificate.h"

#include <algorithm>
#include <chrono>

#include "admin/explain_match.h"
#include "base/format.h"

namespace sallyport {
namespace {

using Clock = std::chrono::system_clock;

bool in_time(const Certificate& certificate, Clock::time_point now) {
  return certificate.not_before <= now && now <= certificate.not_after;
}

// ECDSA before RSA, as most clients take either; then the one that was issued last.
bool goes_before(const Certificate& a, const Certificate& b) {
  if (a.kind != b.kind) return a.kind < b.kind;
  if (a.not_before != b.not_before) return a.not_before > b.not_before;
  return a.not_after > b.not_after;
}

const Certificate* best_for(const CertStore& store, std::string_view name, bool exact, bool valid) {
  const Certificate* best = nullptr;
  const auto now = Clock::now();
  for (const auto& certificate : store.all()) {
    if (in_time(*certificate, now) != valid) continue;
    const bool has = std::any_of(certificate->names.begin(), certificate->names.end(), [&](const std::string& covered) {
      return exact ? covered == name : is_below(name, covered);
    });
    if (has && (best == nullptr || goes_before(*certificate, *best))) best = certificate.get();
  }
  return best;
}

std::string shown_path(const Snapshot& snapshot, const std::string& path) {
  const std::filesystem::path folder = snapshot.config.gateway.certificates.directory;
  const std::string relative = std::filesystem::path(path).lexically_relative(folder).string();
  return relative.empty() || relative.starts_with("..") ? path : relative;
}

}  // namespace

std::optional<ShownCertificate> shown_certificate(const Snapshot& snapshot, const std::string& fixed,
                                                  std::string_view name) {
  if (!fixed.empty()) return ShownCertificate{shown_path(snapshot, fixed), "the service names it", true};
  if (!name.empty() && snapshot.certs) {
    for (const bool valid : {true, false})
      for (const bool exact : {true, false})
        if (const Certificate* found = best_for(*snapshot.certs, name, exact, valid))
          return ShownCertificate{found->file,
                                  exact ? format("it is for {}", name) : format("its wildcard covers {}", name), valid};
  }
  const std::string& by_default = snapshot.config.gateway.certificates.default_certificate;
  if (by_default.empty()) return std::nullopt;
  return ShownCertificate{
      shown_path(snapshot, by_default),
      name.empty() ? "the default one, as the client names no host" : "the default one, as none is for the name", true};
}

}  // namespace sallyport
