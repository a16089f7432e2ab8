#include "cli/certs_list.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <string_view>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Clock = std::chrono::system_clock;
using config::Mode;

bool holds(const CertSet& set, const Certificate& certificate) {
  return std::any_of(set.begin(), set.end(),
                     [&](const auto& one) { return one->fingerprint == certificate.fingerprint; });
}

bool stands_in(const std::string& file, const Certificate& certificate, const CertStore& store) {
  if (file.empty()) return false;
  auto set = store.by_file(file);
  return set.ok() && holds(*set, certificate);
}

// The name is one label below "*.example.tld".
bool covered_by(std::string_view name, std::string_view wildcard) {
  std::string_view domain = wildcard.substr(1);
  return name.size() > domain.size() && name.ends_with(domain) &&
         name.substr(0, name.size() - domain.size()).find('.') == std::string_view::npos;
}

bool chosen_for(const std::string& host, const Certificate& certificate, const CertStore& store) {
  if (host != "*" && holds(store.match(host), certificate)) return true;
  if (!host.starts_with("*")) return false;
  return std::any_of(certificate.names.begin(), certificate.names.end(), [&](const std::string& name) {
    return (host == "*" || covered_by(name, host)) && holds(store.match(name), certificate);
  });
}

// Redirects end TLS too, where a listener gets any.
bool ends_tls(const config::Service& service) {
  if (service.mode == Mode::edge || service.mode == Mode::reencrypt) return true;
  return service.mode == Mode::redirect && std::any_of(service.listeners.begin(), service.listeners.end(),
                                                       [](const std::string& name) { return name != "http"; });
}

bool serves(const config::Service& service, const Certificate& certificate, const CertStore& store) {
  if (!ends_tls(service)) return false;
  if (!service.certificate.empty()) return stands_in(service.certificate, certificate, store);
  return std::any_of(service.hosts.begin(), service.hosts.end(),
                     [&](const std::string& host) { return chosen_for(host, certificate, store); });
}

std::string joined(const std::vector<std::string>& words, const char* none) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? std::string(none) : text;
}

std::string date_of(Clock::time_point time) {
  std::time_t seconds = Clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  size_t size = std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return {text, size};
}

const char* name_of(KeyKind kind) {
  return kind == KeyKind::ecdsa ? "ECDSA" : kind == KeyKind::rsa ? "RSA" : "another kind";
}

void append_block(std::string& out, const Certificate& certificate, const std::vector<std::string>& users,
                  Clock::time_point now) {
  std::string key =
      certificate.key_file == certificate.file ? "" : format(", key in {}", escaped(certificate.key_file));
  out += format("{}\n", joined(certificate.names, "no DNS or IP names"));
  out += format("  expires  {}\n", expiry_text(certificate, now));
  out += format("  issuer   {}\n", certificate.issuer);  // its control characters are escaped already
  out += format("  file     {} ({}{})\n", escaped(certificate.file), name_of(certificate.kind), key);
  out += format("  used by  {}\n\n", joined(users, "no service"));
}

// Certificates without names are listed where a service names their file.
CertSet listed(const config::Config& config, const CertStore& store) {
  CertSet all = store.all();
  std::vector<std::string> files{config.gateway.certificates.default_certificate};
  for (const config::Service& service : config.services) {
    files.push_back(service.certificate);
    files.push_back(service.server_tls.client_certificate);
  }
  for (const std::string& file : files) {
    auto set = file.empty() ? Result<CertSet>(CertSet{}) : store.by_file(file);
    if (!set) continue;
    std::copy_if(set->begin(), set->end(), std::back_inserter(all), [&](const auto& one) { return !holds(all, *one); });
  }
  return all;
}

}  // namespace

std::string expiry_text(const Certificate& certificate, Clock::time_point now) {
  using Days = std::chrono::duration<long, std::ratio<86'400>>;
  std::string date = date_of(certificate.not_after);
  auto plural = [](long days) { return format("{} day{}", days, days == 1 ? "" : "s"); };
  if (certificate.not_before > now) return format("{}, not valid before {}", date, date_of(certificate.not_before));
  if (certificate.not_after < now)
    return format("{}, EXPIRED {} ago", date,
                  plural(std::chrono::duration_cast<Days>(now - certificate.not_after).count()));
  return format("{}, in {}", date, plural(std::chrono::duration_cast<Days>(certificate.not_after - now).count()));
}

std::vector<std::string> users_of(const Certificate& certificate, const config::Config& config,
                                  const CertStore& store) {
  std::vector<std::string> users;
  for (const config::Service& service : config.services) {
    if (serves(service, certificate, store)) users.push_back(service.name);
    if (service.server_tls.enabled && stands_in(service.server_tls.client_certificate, certificate, store))
      users.push_back(service.name + " (to its servers)");
  }
  if (stands_in(config.gateway.certificates.default_certificate, certificate, store)) users.emplace_back("(default)");
  return users;
}

std::string certificate_list(const config::Config& config, const CertStore& store, Clock::time_point now) {
  std::string out;
  CertSet all = listed(config, store);
  for (const auto& certificate : all) append_block(out, *certificate, users_of(*certificate, config, store), now);
  if (all.empty()) {
    out += format("No certificate with a key and a name in {}.\n", config.gateway.certificates.directory);
    out += "Put a PEM chain and its key there, or make one: sallyport certs issue NAME\n";
  }
  if (!config.left_out.empty())
    out +=
        format("Not looked at, as their files have faults (sallyport check tells): {}\n", joined(config.left_out, ""));
  if (!store.problems().empty()) out += all.empty() ? "\nProblems:\n" : "Problems:\n";
  for (const CertProblem& problem : store.problems())
    out += format("  {}: {}\n", escaped(problem.file), escaped(problem.message));
  return out;
}

}  // namespace sallyport
