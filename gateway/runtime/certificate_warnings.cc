#include "runtime/certificate_warnings.h"

#include <algorithm>
#include <chrono>

#include "base/format.h"
#include "base/host.h"

namespace sallyport {
namespace {

using config::Fault;
using config::Mode;
using config::Severity;

constexpr auto kSoon = std::chrono::hours(24 * 14);

const config::Position& position_of(const config::Service& service, size_t host) {
  return host < service.host_positions.size() ? service.host_positions[host] : service.at;
}

bool is_name_below(std::string_view name, std::string_view wildcard) {
  const size_t dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && wildcard.starts_with("*.") &&
         name.substr(dot) == wildcard.substr(1);
}

class Warnings {
 public:
  explicit Warnings(const Snapshot& snapshot) : snapshot_(snapshot) {}

  std::vector<Fault> take() {
    for (const CertProblem& problem : snapshot_.certs->problems()) warn({problem.file, 0, 0}, problem.message, {});
    warn_of_ends();
    for (const auto& service : snapshot_.services) {
      if (service->config.mode == Mode::passthrough)
        warn_of_coalescing(service->config);
      else
        warn_of_uncovered(service->config);
    }
    return std::move(out_);
  }

 private:
  void warn(const config::Position& at, std::string message, const std::string& service) {
    out_.push_back(Fault{Severity::warning, at, std::move(message), {}, service});
  }

  void warn_of_ends() {
    const auto now = std::chrono::system_clock::now();
    for (const auto& certificate : snapshot_.certs->all()) {
      const auto left = certificate->not_after - now;
      if (left >= kSoon) continue;
      const auto days = std::chrono::duration_cast<std::chrono::hours>(left).count() / 24;
      warn({certificate->file, 0, 0},
           left.count() < 0 ? std::string("this certificate has expired")
                            : format("this certificate ends in {} days", days),
           {});
    }
  }

  void warn_of_uncovered(const config::Service& service) {
    if (service.mode != Mode::edge && service.mode != Mode::reencrypt) return;
    if (!service.certificate.empty() || !snapshot_.config.gateway.certificates.default_certificate.empty()) return;
    for (size_t i = 0; i < service.hosts.size(); ++i) {
      const std::string& host = service.hosts[i];
      if (host != "*" && snapshot_.certs->match(host).empty())
        warn(position_of(service, i), format("no certificate covers \"{}\": its clients will be refused", host),
             service.name);
    }
  }

  // A browser with an HTTP/2 connection sends requests for any name that its certificate covers over it, if the name
  // has the same address (RFC 9113 section 9.1.1). Those for a host that is passed through are answered 421.
  void warn_of_coalescing(const config::Service& service) {
    for (size_t i = 0; i < service.hosts.size(); ++i) {
      for (const auto& rules : snapshot_.listeners) {
        if (!rules->config.http2.enabled || !listens_on(service, rules->name)) continue;
        const Covered found = covered(*rules, service, service.hosts[i]);
        if (found.name.empty()) continue;
        std::string what = format("the certificate {} also covers \"{}\", which ", found.file, found.name);
        what +=
            found.name == service.hosts[i] ? "is passed through" : format("\"{}\" passes through", service.hosts[i]);
        warn(position_of(service, i),
             what +
                 ": browsers may send its requests over another service's HTTP/2 connection, and are answered 421 then",
             service.name);
        break;
      }
    }
  }

  struct Covered {
    std::string_view name;  // a name, or a pattern, that leads to the passthrough service; empty: none
    std::string_view file;
  };

  Covered covered(const ListenerRules& rules, const config::Service& service, std::string_view host) {
    for (const Certificate* certificate : served_on(rules)) {
      for (const std::string& name : certificate->names) {
        if (is_ip_literal(name)) continue;  // such a host has no SNI, and no connection of its own to be missed
        const bool covers_host = host == name || is_name_below(host, name);
        if (!covers_host && host != "*" && !is_name_below(name, host)) continue;
        const std::string_view shown = covers_host ? host : std::string_view(name);
        const TlsHost* entry = rules.tls.find(shown);
        if (entry != nullptr && entry->passthrough != nullptr && entry->passthrough->config.name == service.name)
          return {shown, certificate->file};
      }
    }
    return {};
  }

  // The certificates with which TLS may end on a listener and HTTP begin.
  std::vector<const Certificate*> served_on(const ListenerRules& rules) {
    std::vector<const Certificate*> out;
    const auto add = [&](const std::string& file) {
      if (file.empty()) return;
      const auto set = snapshot_.certs->by_file(file);
      if (!set) return;
      for (const auto& certificate : *set) {
        out.push_back(certificate.get());
        held_.push_back(certificate);
      }
    };
    bool terminates = false;
    for (const auto& service : snapshot_.services) {
      const config::Service& wanted = service->config;
      const bool ends_here =
          wanted.mode == Mode::edge || wanted.mode == Mode::reencrypt || wanted.mode == Mode::redirect;
      if (!ends_here || wanted.protocol_tcp || !listens_on(wanted, rules.name)) continue;
      terminates = true;
      add(wanted.certificate);
    }
    if (!terminates) return {};
    add(snapshot_.config.gateway.certificates.default_certificate);
    for (const auto& certificate : snapshot_.certs->all()) out.push_back(certificate.get());
    return out;
  }

  static bool listens_on(const config::Service& service, const std::string& listener) {
    return std::find(service.listeners.begin(), service.listeners.end(), listener) != service.listeners.end();
  }

  const Snapshot& snapshot_;
  std::vector<Fault> out_;
  CertSet held_;  // those of files outside the folder live as long as this
};

}  // namespace

std::vector<config::Fault> certificate_warnings(const Snapshot& snapshot) { return Warnings(snapshot).take(); }

}  // namespace sallyport
