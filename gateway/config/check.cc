#include "config/check.h"

#include <algorithm>
#include <set>

#include "base/address.h"
#include "base/format.h"
#include "base/host.h"
#include "base/text.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

bool holds_everyone(const std::vector<Network>& networks) {
  return std::any_of(networks.begin(), networks.end(), [](const Network& n) {
    const std::string text = n.text();
    return text == "0.0.0.0/0" || text == "::/0";
  });
}

void check_gateway(const Config& config, Report& report) {
  const auto warn = [&](const Position& at, std::string message) {
    report.add(Severity::warning, at, std::move(message));
  };
  const Position file{"gateway.yaml", 0, 0};
  if (holds_everyone(config.gateway.trusted_proxies))
    warn(file, "trusted_proxies holds every address: any client can claim to be another");
  const Admin& admin = config.gateway.admin;
  const auto bind = admin.bind.empty() ? Result<Bind>(wrong({})) : parse_bind(admin.bind);
  if (bind && admin.token.empty() && (bind->any || (bind->address.is_ip() && !bind->address.is_loopback())))
    warn(admin.at,
         format("admin listens on {}, which is not loopback, and has no token: nothing can be read there but /health",
                quote(admin.bind)));

  std::set<std::string_view> used;
  for (const Service& service : config.services) used.insert(service.listeners.begin(), service.listeners.end());
  for (const Service& service : config.kept) used.insert(service.listeners.begin(), service.listeners.end());
  for (const Listener& listener : config.listeners) {
    if (holds_everyone(listener.accept_proxy))
      warn(listener.at, format("accept_proxy of listener {} holds every address: any client can claim to be another",
                               quote(listener.name)));
    const bool built_in = listener.name == "http" || listener.name == "https";
    if (!built_in && report.errors() == 0 && used.count(listener.name) == 0)
      warn(listener.at, format("no service uses the listener {}", quote(listener.name)));
  }
}

bool leads_to_itself(const Config& config, const Service& service) {
  const std::string scheme = to_lower(service.redirect.to.substr(0, service.redirect.to.find(':')));
  const std::string host = host_of_url(service.redirect.to);
  if (std::find(service.hosts.begin(), service.hosts.end(), host) == service.hosts.end()) return false;
  const std::string authority = service.redirect.to.substr(scheme.size() + 3);
  if (authority.substr(0, authority.find('/')).find(':') != std::string::npos && !host.starts_with('[')) return false;
  return std::any_of(service.listeners.begin(), service.listeners.end(), [&](const std::string& name) {
    const Listener* listener = config.listener(name);
    return listener != nullptr && std::any_of(listener->binds.begin(), listener->binds.end(), [&](const Bind& bind) {
             const uint16_t port = listener->public_port != 0 ? listener->public_port : bind.address.port();
             return port == (scheme == "https" ? 443 : 80);
           });
  });
}

void check_service(const Config& config, const Service& service, Report& report) {
  const auto warn = [&](const Position& at, std::string message) {
    report.add(Severity::warning, at, std::move(message), service.name);
  };
  if (service.mode == Mode::redirect && service.redirect.keep_path && leads_to_itself(config, service))
    warn(service.at,
         format("the redirect to {} leads to this service itself, again and again", quote(service.redirect.to)));
  if (service.plain_http == PlainHttp::serve && service.client_certificates.enabled())
    warn(service.at, "plain_http: serve lets clients in without the certificate that client_certificates asks for");
  if (service.server_tls.enabled && service.server_tls.verify == Verify::none && !service.server_tls.ca.empty())
    warn(service.server_tls.at, "server_tls has a ca, and verify: none does not look at it");
  if (!service.servers.empty() &&
      std::all_of(service.servers.begin(), service.servers.end(), [](const Server& s) { return s.weight == 0; }))
    warn(service.servers.front().at, "every server has weight 0: no new connection is accepted");
}

}  // namespace

void warn_of_surprises(const Config& config, Report& report) {
  check_gateway(config, report);
  for (const Service& service : config.services) check_service(config, service, report);
}

}  // namespace sallyport::config
