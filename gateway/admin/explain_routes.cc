#include "admin/explain_routes.h"

#include <algorithm>

namespace sallyport {
namespace {

using config::Mode;

bool is_of(RouteKind kind, const config::Service& service) noexcept {
  switch (service.mode) {
    case Mode::passthrough: return kind != RouteKind::plain;
    case Mode::edge:
    case Mode::reencrypt:
      // What is no HTTP within TLS is none outside of it: nothing is redirected to it.
      return kind == RouteKind::tls || (kind == RouteKind::of_https && !service.protocol_tcp);
    case Mode::http: return kind == RouteKind::plain;
    case Mode::redirect: return kind != RouteKind::of_https;
    case Mode::ssh:
    case Mode::tcp: break;
  }
  return false;
}

int plain_rank(const config::Service& service) noexcept {
  if (service.mode != Mode::edge && service.mode != Mode::reencrypt) return 1;
  return service.plain_http == config::PlainHttp::serve ? 2 : service.plain_http == config::PlainHttp::redirect ? 1 : 0;
}

}  // namespace

bool stands_on(const config::Service& service, std::string_view listener) noexcept {
  return std::any_of(service.listeners.begin(), service.listeners.end(),
                     [&](const std::string& name) { return name == listener; });
}

bool same_client_rule(const config::ClientCertificates& a, const config::ClientCertificates& b) noexcept {
  if (!a.enabled() || !b.enabled()) return a.enabled() == b.enabled();
  return a.ca == b.ca && a.crl == b.crl && a.verify == b.verify;
}

RouteFinder::RouteFinder(const Snapshot& snapshot) : snapshot_(snapshot) {
  for (const auto* services : {&snapshot.config.kept, &snapshot.config.services})
    for (const config::Service& service : *services) written_[service.name] = &service;
}

const config::Service& RouteFinder::written(const Service& service) const noexcept {
  const auto found = written_.find(service.config.name);
  // A service that is kept has other hosts than its file may have by now.
  const bool same = found != written_.end() && found->second->hosts == service.config.hosts;
  return same ? *found->second : service.config;
}

HostGroup RouteFinder::find(RouteKind kind, std::string_view listener, std::string_view host) const {
  HostGroup out;
  for (const auto& service : snapshot_.services) {
    const config::Service& config = service->config;
    if (!is_of(kind, config) || (!listener.empty() && !stands_on(config, listener))) continue;
    const HostMatch match = match_host(config.hosts, host);
    if (match.fit == HostFit::none) continue;
    if (match.fit > out.fit) {
      out.lesser.insert(out.lesser.end(), out.members.begin(), out.members.end());
      out.members.clear();
      out.fit = match.fit;
    }
    (match.fit == out.fit ? out.members : out.lesser).push_back({service.get(), &written(*service), match});
  }
  return out;
}

const RouteCandidate* RouteFinder::whole_host(const HostGroup& group) noexcept {
  for (const RouteCandidate& member : group.members)
    if (member.config().mode == Mode::passthrough || member.config().protocol_tcp) return &member;
  return nullptr;
}

RouteFinder::ByPath RouteFinder::by_path(const HostGroup& group, const Segments& path) {
  ByPath best;
  for (const RouteCandidate& member : group.members) {
    const auto match = match_path(member.config().paths, path);
    if (!match) continue;
    const bool better =
        best.candidate == nullptr || match->length > best.path.length ||
        (match->length == best.path.length && plain_rank(member.config()) > plain_rank(best.candidate->config()));
    if (better) best = {&member, *match};
  }
  return best;
}

const Service* RouteFinder::of_mode(std::string_view listener, Mode mode) const noexcept {
  for (const auto& service : snapshot_.services)
    if (service->config.mode == mode && stands_on(service->config, listener)) return service.get();
  return nullptr;
}

bool RouteFinder::any(RouteKind kind, std::string_view listener) const noexcept {
  return std::any_of(snapshot_.services.begin(), snapshot_.services.end(), [&](const auto& service) {
    return is_of(kind, service->config) && stands_on(service->config, listener);
  });
}

bool RouteFinder::ends_tls(std::string_view listener) const noexcept {
  return std::any_of(snapshot_.services.begin(), snapshot_.services.end(), [&](const auto& service) {
    return service->config.mode != Mode::passthrough && is_of(RouteKind::tls, service->config) &&
           stands_on(service->config, listener);
  });
}

}  // namespace sallyport
