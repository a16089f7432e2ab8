#include "admin/service_json.h"

#include <cmath>

namespace sallyport {
namespace {

const char* name_of(config::Balance balance) noexcept {
  switch (balance) {
    case config::Balance::round_robin: return "round-robin";
    case config::Balance::least_connections: return "least-connections";
    case config::Balance::source_hash: return "source-hash";
    case config::Balance::uri_hash: return "uri-hash";
    case config::Balance::random: return "random";
  }
  return "";
}

// Three digits behind the point are enough for people, and short to send.
double rounded(double value) noexcept { return std::round(value * 1000) / 1000; }

Json totals_json(const ServiceTotals& totals) {
  Json out;
  out["connections"] = totals.connections;
  out["requests"] = totals.requests;
  out["errors"] = totals.errors;
  out["retries"] = totals.retries;
  out["received_bytes"] = totals.received_bytes;
  out["sent_bytes"] = totals.sent_bytes;
  static constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  Json status = Json::object();
  for (size_t i = 0; i < totals.status.size(); ++i)
    if (totals.status[i] != 0) status[kClasses[i]] = totals.status[i];
  out["status"] = std::move(status);
  return out;
}

}  // namespace

const char* name_of(ServiceState state) noexcept {
  switch (state) {
    case ServiceState::none: return "none";
    case ServiceState::up: return "up";
    case ServiceState::degraded: return "degraded";
    case ServiceState::down: return "down";
  }
  return "";
}

bool is_shown(const Endpoint& endpoint) noexcept {
  return endpoint.has_address() || endpoint.place() == Endpoint::kNoPlace;
}

ServiceState state_of(const Service& service) {
  if (!service.upstream) return ServiceState::none;
  size_t good = 0, shown = 0;
  for (const auto& endpoint : service.upstream->endpoints) {
    if (!is_shown(*endpoint)) continue;
    ++shown;
    if (endpoint->has_address() && endpoint->health.usable() && endpoint->admin() != AdminState::disabled) ++good;
  }
  return good == 0 ? ServiceState::down : good == shown ? ServiceState::up : ServiceState::degraded;
}

Json server_json(const Service& service, const Endpoint& endpoint) {
  const EndpointHealth::Report health = endpoint.health.report();
  using State = EndpointHealth::State;
  const bool resolved = endpoint.has_address();
  Json out;
  out["service"] = service.config.name;
  out["server"] = endpoint.label();
  if (endpoint.name() != endpoint.key()) out["name"] = endpoint.name();
  if (resolved) out["address"] = endpoint.address().text();
  out["state"] = !resolved                        ? "unresolved"
                 : health.state == State::down    ? "down"
                 : health.state == State::up      ? "up"
                                                  : "unchecked";
  out["admin"] = sallyport::name_of(endpoint.admin());
  if (!health.reason.empty()) out["reason"] = health.reason;
  if (health.since != 0) out["since"] = health.since;
  if (service.upstream->health.checks()) {
    out["check"] = config::name_of(service.upstream->health.type);
    if (health.state != State::unchecked) out["check_ms"] = rounded(static_cast<double>(health.checked_us) / 1000);
  }
  out["weight"] = endpoint.weight();
  out["written_weight"] = endpoint.written_weight();
  out["backup"] = endpoint.backup();
  out["load"] = endpoint.load.load(std::memory_order_relaxed);
  out["max_connections"] = endpoint.max_connections();
  out["connections"] = endpoint.slots_taken.load(std::memory_order_relaxed);
  const ServerTotals totals = totals_of(endpoint);
  out["totals"] = {{"connections", totals.connections}, {"failures", totals.failures},
                   {"requests", totals.requests},       {"errors", totals.errors},
                   {"received_bytes", totals.received_bytes}, {"sent_bytes", totals.sent_bytes}};
  return out;
}

Json service_json(const Service& service, const ServiceTotals& totals, const History::Rates& rates, bool written,
                  bool kept) {
  const config::Service& config = service.config;
  Json out;
  out["name"] = config.name;
  out["mode"] = service.mode();
  out["state"] = name_of(state_of(service));
  if (written) {
    out["file"] = config.at.file;
    out["line"] = config.at.line;
  }
  out["listeners"] = config.listeners;
  if (written) {
    using config::Mode;
    if (config.mode != Mode::ssh && config.mode != Mode::tcp) out["hosts"] = config.hosts;
    if (config.mode != Mode::ssh && config.mode != Mode::tcp && config.mode != Mode::passthrough)
      out["paths"] = config.paths;
  }
  if (!config.preset.empty()) out["preset"] = config.preset;
  out["kept"] = kept;
  if (service.upstream) {
    out["balance"] = name_of(config.balance);
    if (service.upstream->sticky) out["sticky"] = service.upstream->sticky->size();
    if (service.upstream->queue) out["queued"] = service.upstream->queue->waiting();
  }
  out["totals"] = totals_json(totals);
  out["rates"] = rates_json(rates);
  out["sessions"] = totals.open;
  Json servers = Json::array();
  if (service.upstream)
    for (const auto& endpoint : service.upstream->endpoints)
      if (is_shown(*endpoint)) servers.push_back(server_json(service, *endpoint));
  out["servers"] = std::move(servers);
  return out;
}

Json rates_json(const History::Rates& rates) {
  Json out;
  for (History::Value value : {History::connections, History::requests, History::errors, History::received_bytes,
                               History::sent_bytes})
    out[History::kNames[value]] = rounded(rates[value]);
  return out;
}

}  // namespace sallyport
