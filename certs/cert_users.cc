#include "certs/cert_users.h"

#include <algorithm>
#include <string_view>

namespace sallyport {
namespace {

using config::Mode;

// The name is one label below "*.example.tld".
bool covered_by(std::string_view name, std::string_view wildcard) {
  std::string_view domain = wildcard.substr(1);
  return name.size() > domain.size() && name.ends_with(domain) &&
         name.substr(0, name.size() - domain.size()).find('.') == std::string_view::npos;
}

// Redirects end TLS too, where a listener gets any.
bool ends_tls(const config::Service& service) {
  if (service.mode == Mode::edge || service.mode == Mode::reencrypt) return true;
  return service.mode == Mode::redirect && std::any_of(service.listeners.begin(), service.listeners.end(),
                                                       [](const std::string& name) { return name != "http"; });
}

}  // namespace

CertUsers::CertUsers(const config::Config& config, const CertStore& store) : all_(store.all()) {
  const auto also = [&](const CertSet& set) {
    for (const auto& certificate : set)
      if (!holds(all_, *certificate)) all_.push_back(certificate);
  };
  default_ = in_file(config.gateway.certificates.default_certificate, store);
  also(default_);
  for (const config::Service& service : config.services) {
    also(in_file(service.certificate, store));
    const CertSet shown =
        service.server_tls.enabled ? in_file(service.server_tls.client_certificate, store) : CertSet();
    also(shown);
    for (const auto& certificate : served_by(service, store)) users_[certificate->fingerprint].push_back(service.name);
    for (const auto& certificate : shown)
      users_[certificate->fingerprint].push_back(service.name + " (to its servers)");
  }
}

const std::vector<std::string>& CertUsers::of(const Certificate& certificate) const {
  static const std::vector<std::string> kNobody;
  const auto found = users_.find(certificate.fingerprint);
  return found == users_.end() ? kNobody : found->second;
}

bool CertUsers::holds(const CertSet& set, const Certificate& certificate) {
  return std::any_of(set.begin(), set.end(),
                     [&](const auto& one) { return one->fingerprint == certificate.fingerprint; });
}

const CertSet& CertUsers::in_file(const std::string& file, const CertStore& store) {
  static const CertSet kNone;
  if (file.empty()) return kNone;
  const auto [found, fresh] = files_.try_emplace(file);
  if (fresh)
    if (auto set = store.by_file(file)) found->second = std::move(*set);
  return found->second;
}

// Each once.
CertSet CertUsers::served_by(const config::Service& service, const CertStore& store) {
  if (!ends_tls(service)) return {};
  if (!service.certificate.empty()) return in_file(service.certificate, store);
  CertSet out;
  const auto add = [&](const CertSet& set) {
    for (const auto& certificate : set)
      if (!holds(out, *certificate)) out.push_back(certificate);
  };
  for (const std::string& host : service.hosts) {
    if (host != "*") add(store.match(host));
    if (!host.starts_with("*")) continue;
    for (const auto& certificate : store.all())
      for (const std::string& name : certificate->names)
        if (host == "*" || covered_by(name, host)) add(store.match(name));
  }
  return out;
}

}  // namespace sallyport
