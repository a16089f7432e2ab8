#include "config/claims.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/format.h"

namespace sallyport::config {
namespace {

// served: what plain_http: serve answers on every listener where no http or redirect service has the host.
enum class Kind : char { tls = 't', plain = 'p', served = 'e', ssh = 's', tcp = 'b' };

struct Claim {
  std::string where;  // listener, kind and host: what is compared
  Kind kind;
  size_t host = 0;                  // index in Service::hosts
  std::optional<std::string> path;  // none: all of them
};

std::vector<Claim> claims_of(const Service& service) {
  std::vector<Claim> out;
  const auto add = [&](const std::string& listener, Kind kind, size_t host, bool all_paths) {
    std::string where = listener + '\n' + static_cast<char>(kind);
    if (kind != Kind::ssh && kind != Kind::tcp) where += service.hosts[host];
    if (all_paths)
      out.push_back({std::move(where), kind, host, std::nullopt});
    else
      for (const std::string& path : service.paths) out.push_back({where, kind, host, path});
  };
  for (const std::string& listener : service.listeners) {
    if (service.mode == Mode::ssh || service.mode == Mode::tcp) {
      add(listener, service.mode == Mode::ssh ? Kind::ssh : Kind::tcp, 0, true);
      continue;
    }
    for (size_t host = 0; host < service.hosts.size(); ++host) {
      switch (service.mode) {
        case Mode::passthrough: add(listener, Kind::tls, host, true); break;
        case Mode::edge:
        case Mode::reencrypt:
          add(listener, Kind::tls, host, service.protocol_tcp);
          if (service.plain_http == PlainHttp::serve) {
            add(listener, Kind::plain, host, false);
            add({}, Kind::served, host, false);
          }
          break;
        case Mode::http: add(listener, Kind::plain, host, false); break;
        case Mode::redirect:  // the first bytes decide whether it answers plain or within TLS
          add(listener, Kind::plain, host, false);
          add(listener, Kind::tls, host, false);
          break;
        case Mode::ssh:
        case Mode::tcp: break;
      }
    }
  }
  return out;
}

// What a service serves already: what it goes on serving when it claims that again.
class Held {
 public:
  explicit Held(const Service& service) {
    for (Claim& claim : claims_of(service)) routes_.emplace(std::move(claim.where), std::move(claim.path));
  }
  bool covers(const Claim& claim) const {
    return routes_.count({claim.where, claim.path}) > 0 || routes_.count({claim.where, std::nullopt}) > 0;
  }

 private:
  std::set<std::pair<std::string, std::optional<std::string>>> routes_;
};

// Within one host the SNI decides on certificates before any path is known: all its services need the same ones.
bool same_handshake(const Service& a, const Service& b) {
  return a.certificate == b.certificate && a.client_certificates == b.client_certificates;
}

struct Holder {
  const Service* service;
  size_t host;
};

class Table {
 public:
  // Who has what the claim asks for; nullopt if nobody but the service itself.
  std::optional<Holder> holder(const Service& service, const Claim& claim) const {
    const auto route = routes_.find(claim.where);
    if (route == routes_.end()) return std::nullopt;
    const auto& paths = route->second;
    if (!claim.path) return other(service, paths);
    for (const auto& path : {claim.path, std::optional<std::string>()}) {
      const auto has = paths.find(path);
      if (has != paths.end() && has->second.service->name != service.name) return has->second;
    }
    return std::nullopt;
  }
  // A service on the same host under other certificates.
  std::optional<Holder> other_handshake(const Service& service, const Claim& claim) const {
    const auto route = routes_.find(claim.where);
    if (claim.kind != Kind::tls || route == routes_.end()) return std::nullopt;
    const auto has = other(service, route->second);  // any will do: they agree among themselves
    return has && !same_handshake(*has->service, service) ? has : std::nullopt;
  }
  void insert(const Service& service, const Claim& claim) {
    routes_[claim.where].emplace(claim.path, Holder{&service, claim.host});
  }

 private:
  using Paths = std::map<std::optional<std::string>, Holder>;

  static std::optional<Holder> other(const Service& service, const Paths& paths) {
    for (const auto& [path, holder] : paths)
      if (holder.service->name != service.name) return holder;
    return std::nullopt;
  }

  std::map<std::string, Paths> routes_;
};

using ByName = std::unordered_map<std::string_view, const Service*>;

ByName by_name(const std::vector<Service>* services) {
  ByName out;
  if (services == nullptr) return out;
  for (const Service& service : *services) out.emplace(service.name, &service);
  return out;
}

const Service* find_service(const ByName& services, std::string_view name) {
  const auto found = services.find(name);
  return found == services.end() ? nullptr : found->second;
}

std::string place(const Position& at) { return format("{}:{}:{}", at.file, at.line, at.column); }

// One fault for each host and path that another has.
bool report_conflicts(const Service& service, const std::vector<Claim>& claims, const Table& table, Report& report) {
  std::set<std::pair<size_t, std::optional<std::string>>> told;
  bool conflict = false;
  for (const Claim& claim : claims) {
    const auto has = table.holder(service, claim);
    const auto differs = has ? std::nullopt : table.other_handshake(service, claim);
    if (!has && !differs) continue;
    conflict = true;
    if (!told.emplace(claim.host, claim.path).second) continue;
    const Holder& other = has ? *has : *differs;
    const std::string who =
        format("{} ({})", quote(other.service->name), place(other.service->host_positions[other.host]));
    const std::string& host = service.hosts[claim.host];
    const Position& at = service.host_positions[claim.host];
    std::string message;
    if (claim.kind == Kind::ssh || claim.kind == Kind::tcp)
      message = format("the listener {} already has the {} service {}; it can have one",
                       quote(claim.where.substr(0, claim.where.find('\n'))), name_of(service.mode), who);
    else if (claim.kind == Kind::served)
      message = format("plain HTTP for host {} is already served by service {}", quote(host), who);
    else if (differs)
      message = format(
          "host {} is also served by service {} with another certificate or client_certificates; "
          "services that share a host need the same",
          quote(host), who);
    else if (claim.path && *claim.path != "/")
      message = format("host {}, path {} is already served by service {}", quote(host), quote(*claim.path), who);
    else
      message = format("host {} is already served by service {}", quote(host), who);
    report.add(Severity::error, at, std::move(message), service.name, false);
  }
  return conflict;
}

}  // namespace

std::vector<bool> settle_claims(const std::vector<Service>& services, const std::vector<Service>* serving,
                                std::vector<Service>& kept, Report& report) {
  std::vector<bool> lost(services.size(), false);
  std::vector<std::vector<Claim>> claims;
  claims.reserve(services.size());
  for (const Service& service : services) claims.push_back(claims_of(service));
  std::deque<Service> keeping(kept.begin(), kept.end());
  const ByName before_by_name = by_name(serving);

  // A service that loses and was serving goes on in its last version, whose routes then count: once more from the
  // start. Each round loses at least one service, so that this ends.
  for (bool again = true; again;) {
    again = false;
    Table table;
    for (const Service& service : keeping)
      for (const Claim& claim : claims_of(service)) table.insert(service, claim);
    for (size_t i = 0; i < services.size(); ++i) {
      const Service* before = lost[i] ? nullptr : find_service(before_by_name, services[i].name);
      if (before == nullptr) continue;
      const Held held(*before);
      const bool handshake_kept = same_handshake(*before, services[i]);
      for (const Claim& claim : claims[i]) {
        if (claim.kind == Kind::tls && !handshake_kept) continue;
        if (held.covers(claim) && !table.holder(services[i], claim)) table.insert(services[i], claim);
      }
    }
    for (size_t i = 0; i < services.size() && !again; ++i) {
      if (lost[i]) continue;
      if (!report_conflicts(services[i], claims[i], table, report)) {
        for (const Claim& claim : claims[i]) table.insert(services[i], claim);
        continue;
      }
      lost[i] = true;
      if (const Service* before = find_service(before_by_name, services[i].name)) {
        keeping.push_back(*before);
        again = true;
      }
    }
  }
  kept.assign(keeping.begin(), keeping.end());
  return lost;
}

}  // namespace sallyport::config
