#include "admin/certificates_json.h"

#include <chrono>

#include "certs/x509_info.h"

namespace sallyport {
namespace {

using Clock = std::chrono::system_clock;
using Days = std::chrono::duration<int64_t, std::ratio<86'400>>;

constexpr size_t kMostUsers = 100;

int64_t unix_ms_of(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Json certificate_json(const Certificate& certificate, const CertUsers& users, Clock::time_point now) {
  Json out;
  out["file"] = certificate.file;
  out["names"] = certificate.names;
  out["subject"] = certificate.subject;
  out["issuer"] = certificate.issuer;
  out["not_before"] = unix_ms_of(certificate.not_before);
  out["not_after"] = unix_ms_of(certificate.not_after);
  out["days_left"] = std::chrono::floor<Days>(certificate.not_after - now).count();
  out["key"] = key_text(certificate.key.get());
  out["fingerprint"] = certificate.fingerprint;
  out["default"] = users.is_default(certificate);
  const auto& names = users.of(certificate);
  Json services = Json::array();
  for (size_t i = 0; i < names.size() && i < kMostUsers; ++i) services.push_back(names[i]);
  out["services"] = std::move(services);
  if (names.size() > kMostUsers) out["more_services"] = names.size() - kMostUsers;
  return out;
}

}  // namespace

Json CertificatesJson::make(const std::shared_ptr<const Snapshot>& snapshot) {
  Json out;
  Json certificates = Json::array();
  Json problems = Json::array();
  if (snapshot->certs) {
    if (!users_ || of_.lock() != snapshot) {
      users_ = std::make_unique<CertUsers>(snapshot->config, *snapshot->certs);
      of_ = snapshot;
    }
    const auto now = Clock::now();
    for (const auto& certificate : users_->all()) certificates.push_back(certificate_json(*certificate, *users_, now));
    for (const CertProblem& problem : snapshot->certs->problems()) {
      Json one;
      one["file"] = problem.file;
      one["message"] = problem.message;
      problems.push_back(std::move(one));
    }
  }
  out["certificates"] = std::move(certificates);
  out["problems"] = std::move(problems);
  return out;
}

}  // namespace sallyport
