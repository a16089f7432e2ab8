#include "certs/cert_store.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>

#include "certs/cert_loader.h"
#include "certs/x509_info.h"

namespace sallyport {
namespace {

using Clock = std::chrono::system_clock;

bool valid_at(const Certificate& certificate, Clock::time_point now) {
  return certificate.not_before <= now && now <= certificate.not_after;
}

// The one a user obtained last. Equal ones are told apart by their fingerprint, so that every start picks the same.
bool fresher(const Certificate& a, const Certificate& b) {
  return std::tie(a.not_before, a.not_after, a.fingerprint) > std::tie(b.not_before, b.not_after, b.fingerprint);
}

CertSet best_per_kind(const CertSet& candidates) {
  CertSet best;
  for (KeyKind kind : {KeyKind::ecdsa, KeyKind::rsa, KeyKind::other}) {
    const std::shared_ptr<const Certificate>* chosen = nullptr;
    for (const auto& candidate : candidates)
      if (candidate->kind == kind && (chosen == nullptr || fresher(*candidate, **chosen))) chosen = &candidate;
    if (chosen != nullptr) best.push_back(*chosen);
  }
  return best;
}

Error unusable(const std::string& file, std::string why) {
  return Error{Kind::config, Side::internal, Retry::no, 0, "", file + ": " + std::move(why)};
}

}  // namespace

void X509Deleter::operator()(X509* p) const noexcept { X509_free(p); }
void PkeyDeleter::operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }

std::shared_ptr<const CertStore> CertStore::load(const std::filesystem::path& directory, const CertStore* before) {
  return CertLoader(directory).folder(before);
}

CertSet CertStore::match(std::string_view host) const {
  std::string wildcard;
  if (size_t dot = host.find('.'); dot != std::string_view::npos && dot > 0)
    wildcard = "*" + std::string(host.substr(dot));
  Clock::time_point now = Clock::now();
  for (bool valid : {true, false}) {
    for (std::string_view name : {host, std::string_view(wildcard)}) {
      auto found = by_name_.find(name);
      if (found == by_name_.end()) continue;
      CertSet candidates;
      for (size_t index : found->second)
        if (valid_at(*all_[index], now) == valid) candidates.push_back(all_[index]);
      if (!candidates.empty()) return best_per_kind(candidates);
    }
  }
  return {};
}

Result<CertSet> CertStore::by_file(const std::string& file) const {
  namespace fs = std::filesystem;
  std::error_code failed;
  fs::path path = (directory_ / file).lexically_normal();
  auto found = by_file_.find(path.lexically_relative(directory_).string());
  if (found == by_file_.end()) found = by_file_.find(fs::weakly_canonical(path, failed).string());
  if (found != by_file_.end()) {
    if (!found->second.empty()) return best_per_kind(found->second);
    return unusable(file, "no private key was found for its certificate");
  }
  if (!fs::exists(path, failed)) return unusable(file, "no such file");
  auto outside = CertLoader(path.parent_path()).single(path.filename().string());
  found = outside->by_file_.find(path.filename().string());
  if (found != outside->by_file_.end() && !found->second.empty()) return best_per_kind(found->second);
  for (const CertProblem& problem : outside->problems_)
    if (problem.file == path.filename()) return unusable(file, problem.message);
  return unusable(
      file, found == outside->by_file_.end() ? "holds no certificate" : "no private key was found for its certificate");
}

std::string fingerprint_of(const CertSet& set) {
  std::string text;
  for (const auto& certificate : set) {
    text += certificate->fingerprint;
    for (const X509Ptr& issuer : certificate->chain) {
      text += '+';
      text += fingerprint_of(issuer.get());
    }
    text += ';';
  }
  return text;
}

}  // namespace sallyport
