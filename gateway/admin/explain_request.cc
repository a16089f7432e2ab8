// The last part of an explanation: redirects, access, servers, and those who lost.
#include <algorithm>
#include <chrono>

#include "admin/explain_http.h"
#include "admin/explain_servers.h"
#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using config::Mode;

constexpr size_t kMostNames = 10'000;  // that a typing error is looked for in

std::string networks_text(const std::vector<Network>& networks) {
  std::string out;
  for (const Network& network : networks) out += (out.empty() ? "" : ", ") + network.text();
  return out;
}

uint64_t monotonic_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

}  // namespace

// A host on several listeners is redirected to the one named https, else to the first.
uint16_t HttpExplainer::https_port(const HostGroup& group) const {
  const config::Listener* chosen = nullptr;
  for (const config::Listener& listener : finder_.snapshot().config.listeners) {
    if (listener.off) continue;
    const bool has = std::any_of(group.members.begin(), group.members.end(), [&](const RouteCandidate& member) {
      const config::Service& service = member.config();
      return (service.mode == Mode::passthrough || service.plain_http == config::PlainHttp::redirect) &&
             stands_on(service, listener.name);
    });
    if (has && (chosen == nullptr || listener.name == "https")) chosen = &listener;
  }
  if (chosen == nullptr || chosen->public_port != 0) return chosen == nullptr ? uint16_t{443} : chosen->public_port;
  return chosen->binds.empty() ? uint16_t{443} : chosen->binds.front().address.port();
}

void HttpExplainer::redirect_to_https(const HostGroup& group, const RouteCandidate& first) {
  const uint16_t port = https_port(group);
  const std::string location =
      format("https://{}{}{}", target_.host, port == 443 ? "" : format(":{}", port), target_.request);
  const bool plain_get = about_.method == "GET" || about_.method == "HEAD";
  story_.step("route",
              format("no http or redirect service has it; \"{}\" serves the host over TLS", first.config().name),
              first.host_position());
  story_.chose(first.config(), first.written->at);
  story_.put("location", location);
  story_.end("redirect", plain_get ? 301 : 308, format("redirected to {}", location));
}

void HttpExplainer::serve(const RouteCandidate& candidate, const PathMatch* path) {
  const config::Service& service = candidate.config();
  story_.step("route",
              format("service \"{}\" has host \"{}\"{}", service.name, candidate.pattern(),
                     path == nullptr ? "" : format(" and path \"{}\"", service.paths[path->index])),
              candidate.host_position());
  story_.chose(service, candidate.written->at);
  if (!admitted(service, true)) return;
  if (service.mode != Mode::redirect) return servers(*candidate.service, true);
  std::string location = service.redirect.to;
  if (service.redirect.keep_path) {
    while (location.ends_with('/')) location.pop_back();
    location += target_.request;
  }
  story_.put("location", location);
  story_.end("redirect", service.redirect.status, format("redirected to {}", location));
}

void HttpExplainer::relay(const Service& service, const char* protocol) {
  const config::Service& written = finder_.written(service);
  story_.put("protocol", protocol);
  story_.chose(service.config, written.at);
  if (service.config.mode == Mode::ssh || service.config.mode == Mode::tcp)
    story_.step("route", format("service \"{}\", mode {}", service.config.name, service.mode()), written.at);
  if (admitted(service.config, false)) servers(service, false);
}

bool HttpExplainer::admitted(const config::Service& service, bool http) {
  const config::Access& access = service.access;
  if (access.empty()) return true;
  const std::string rule = format("{}{}{}", access.allow.empty() ? "" : "allow " + networks_text(access.allow),
                                  access.allow.empty() || access.deny.empty() ? "" : "; ",
                                  access.deny.empty() ? "" : "deny " + networks_text(access.deny));
  if (about_.from.empty()) {
    story_.step("access", format("depends on who asks ({}); --from says who. Taken as let in", rule));
    return true;
  }
  const auto in = [&](const std::vector<Network>& networks) {
    return std::any_of(networks.begin(), networks.end(), [&](const Network& n) { return n.contains(about_.from); });
  };
  const std::string who = about_.from.ip_text();
  const bool denied = in(access.deny);
  if (!denied && (access.allow.empty() || in(access.allow))) {
    story_.step("access", format("{} is let in ({})", who, rule));
    return true;
  }
  story_.step("access",
              denied ? format("{} is in deny ({})", who, rule) : format("{} is not in allow ({})", who, rule));
  story_.end(http ? "status" : "closed", http ? 403 : 0,
             format("{}: the access of service \"{}\" does not let {} in", http ? "403" : "closed", service.name, who));
  return false;
}

void HttpExplainer::servers(const Service& service, bool http) {
  const Standings standings = servers_for(service, about_.from, monotonic_ms());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::vector<std::string> takers;
  for (const ServerStanding& server : standings.servers) {
    list.push_back({{"server", server.server}, {"takes", server.takes}, {"why", server.why}});
    if (server.takes) takers.push_back(server.server);
  }
  story_.put("servers", std::move(list));
  if (!standings.how.empty()) story_.step("servers", "chosen " + standings.how);
  const char* refused = http ? "503" : "closed";
  switch (standings.outcome) {
    case Standings::Outcome::taken: break;
    case Standings::Outcome::queued:
      story_.step("servers", format("all that are up have their max_connections; the client waits up to {} ms",
                                    service.config.queue.timeout.count()));
      break;
    case Standings::Outcome::full:
      return story_.end(http ? "status" : "closed", http ? 503 : 0,
                        format("{}: all servers have their max_connections, and nobody may wait", refused));
    case Standings::Outcome::nobody:
      return story_.end(http ? "status" : "closed", http ? 503 : 0, format("{}: no server can be used", refused));
  }
  std::string names;
  for (size_t i = 0; i < takers.size() && i < 5; ++i)
    names += (i == 0 ? "" : i + 1 == takers.size() ? " or " : ", ") + takers[i];
  if (takers.size() > 5) names += format(" or one of {} more", takers.size() - 5);
  story_.end("server", 0, format("{} of service \"{}\"", names, service.config.name));
}

void HttpExplainer::losers(const HostGroup& group, const RouteCandidate* winner, const PathMatch* path) {
  const Segments wanted = path_segments(target_.request);
  for (const RouteCandidate& member : group.members) {
    if (&member == winner) continue;
    const auto match = match_path(member.config().paths, wanted);
    if (!match)
      story_.lost(member.config().name, format("has host \"{}\", but of its paths ({}) none leads there",
                                               member.pattern(), quoted(member.config().paths)));
    else if (winner != nullptr)
      story_.lost(
          member.config().name,
          format("has host \"{}\", but its path \"{}\" is {}", member.pattern(), member.config().paths[match->index],
                 path != nullptr && match->length < path->length ? "shorter" : "no better"));
  }
  for (const RouteCandidate& lesser : group.lesser)
    story_.lost(lesser.config().name, format("its host \"{}\" is less specific than \"{}\"", lesser.pattern(),
                                             group.members.front().pattern()));
}

// Nobody here has the host: where it is served, or what it may be a slip of the pen of.
void HttpExplainer::elsewhere(std::string_view listener, RouteKind kind) {
  const Snapshot& snapshot = finder_.snapshot();
  std::vector<std::string_view> names;
  for (const auto& service : snapshot.services) {
    const config::Service& config = service->config;
    if (match_host(config.hosts, target_.host).fit >= HostFit::wildcard && config.mode != Mode::ssh &&
        config.mode != Mode::tcp) {
      if (!stands_on(config, listener))
        story_.lost(config.name, format("has the host, but on listener {}", quoted(config.listeners)));
      else
        story_.lost(config.name, kind == RouteKind::tls ? "has the host, but for plain HTTP alone"
                                                        : "has the host, but for TLS alone");
    }
    for (const std::string& host : config.hosts)
      if (names.size() < kMostNames && !host.starts_with('*')) names.push_back(host);
  }
  if (const std::string_view near = nearest_word(target_.host, names); !near.empty() && near != target_.host)
    story_.step("route", format("there is \"{}\": is that the one?", near));
  if (!snapshot.config.left_out.empty())
    story_.step("route", format("left out because of a fault: {}; `sallyport check` tells more",
                                quoted({snapshot.config.left_out.begin(), snapshot.config.left_out.end()})));
}

}  // namespace sallyport
