#include "cli/doctor/network.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/format.h"
#include "cli/offline.h"
#include "runtime/names.h"
#include "transport/transport.h"

namespace sallyport {
namespace {

using config::Health;
using config::Mode;
using std::chrono::milliseconds;

constexpr size_t kMostProbes = 300;
constexpr size_t kMostNames = 300;

class Probe final : private HealthCheck::Owner {
 public:
  Probe(ProbedServer& to, size_t& left) : to_(to), left_(left) {}
  void begin(IoContext& io, std::shared_ptr<const HealthPlan> plan, std::shared_ptr<Endpoint> endpoint) {
    HealthCheck::Owner& owner = *this;
    check_ = std::make_unique<HealthCheck>(io, owner, std::move(plan), std::move(endpoint));
    if (auto outcome = check_->start()) on_checked(std::move(*outcome));
  }

 private:
  void on_checked(HealthCheck::Outcome outcome) override {
    to_.asked = true;
    to_.outcome = std::move(outcome);
    --left_;
  }
  ProbedServer& to_;
  size_t& left_;
  std::unique_ptr<HealthCheck> check_;
};

// Everything that the loop's events may still name: lives as long as the loop.
struct World {
  Loop loop;
  Resolver resolver{loop};
  Names names{loop};
  IoContext io{loop};
  std::vector<std::optional<Result<Resolved>>> answers;
  size_t names_left = 0;
  size_t probes_left = 0;
  std::vector<ProbedServer> servers;
  std::vector<std::unique_ptr<Probe>> probes;
};

Error out_of_time() { return Error{Kind::timeout, Side::upstream, Retry::no, 0, "no answer in time", {}}; }

}  // namespace

namespace {

// Whether a server speaks TLS at all; whose certificate it has does not matter.
void ask_for_tls(HealthPlan& plan) {
  if (auto context = make_upstream_context({"", false, nullptr, {}})) plan.tls = std::move(*context);
  plan.rules.type = Health::Type::tls;
  plan.rules.verify = config::Verify::none;
}

}  // namespace

std::shared_ptr<const HealthPlan> probe_plan(const Service& service, milliseconds timeout) {
  using Type = Health::Type;
  const config::Service& config = service.config;
  const Upstream& upstream = *service.upstream;
  auto plan = std::make_shared<HealthPlan>(upstream);
  plan->rules.timeout = std::min(plan->rules.timeout, timeout);
  if (plan->rules.checks() && plan->rules.type != Type::tcp) return plan;
  plan->rules.port = 0;
  plan->rules.type = Type::tcp;
  if (config.mode == Mode::passthrough) {
    ask_for_tls(*plan);  // the certificate is between it and its clients
    return plan;
  }
  if (upstream.tls) {
    plan->tls = upstream.tls;
    plan->rules.type = Type::tls;
    plan->rules.verify = config.server_tls.verify;
    return plan;
  }
  if (config.mode == Mode::ssh) plan->rules.type = Type::ssh;
  const bool http = (config.mode == Mode::edge && !config.protocol_tcp) || config.mode == Mode::http;
  if (http && upstream.protocol != config::HttpProtocol::h2) {
    plan->rules.type = Type::http;
    plan->rules.method = "GET";
    plan->rules.path = "/";
    plan->rules.body.clear();
    plan->rules.expect = {{100, 599}};
  }
  return plan;
}

Findings check_servers(const std::vector<ProbedServer>& servers) {
  std::map<std::string, std::pair<size_t, size_t>> of_service;  // servers, and those that answered
  for (const ProbedServer& server : servers) {
    auto& [all, good] = of_service[server.service];
    ++all;
    if (server.outcome.passed || !server.asked) ++good;
  }
  Findings out;
  size_t good = 0;
  for (const ProbedServer& server : servers) {
    const std::string who = format("{} (service {})", server.server, server.service);
    if (server.outcome.passed) {
      ++good;
    } else if (!server.asked) {
      out.push_back({Grade::warning, "servers", format("{} was not asked: no time left", who), ""});
    } else {
      const bool last = of_service[server.service].second == 0;
      const bool named = server.written_as_name && server.outcome.reason.find("resolve") != std::string::npos;
      const std::string advice = named                      ? "is the name right? `getent hosts NAME` on this machine"
                                 : server.outcome.connected ? "it listens, but does not answer as it should"
                                                            : "is it running, and does a firewall stand between?";
      out.push_back(
          {last ? Grade::problem : Grade::warning, "servers", format("{}: {}", who, server.outcome.reason), advice});
    }
  }
  if (good > 0 || servers.empty())
    out.push_back(
        {Grade::ok, "servers", format("{} of {} answer{}", good, servers.size(), servers.size() == 1 ? "s" : ""), ""});
  return out;
}

NetworkFacts look_around(const Snapshot& snapshot, milliseconds most) {
  // Left behind if a name server is silent: its lookups cannot be called off, and the command is about to end.
  auto* world = new World;
  NetworkFacts out;
  std::vector<std::string> hosts = names_of_clients(snapshot.config.services);
  if (hosts.size() > kMostNames) hosts.resize(kMostNames);
  world->answers.resize(hosts.size());
  world->names_left = hosts.size();
  for (size_t i = 0; i < hosts.size(); ++i)
    world->resolver.resolve(hosts[i], 443, [world, i](Result<Resolved> answer) {
      world->answers[i].emplace(std::move(answer));
      --world->names_left;
    });
  world->names.follow(snapshot);
  // Names, servers, and once more those that may speak TLS: three parts of the time.
  run_until(world->loop, most * 3 / 8, [world] { return world->names.pending() == 0; });

  struct Wanted {
    std::shared_ptr<const HealthPlan> plan;
    std::shared_ptr<Endpoint> endpoint;
  };
  std::vector<Wanted> wanted;
  for (const auto& service : snapshot.services) {
    if (!service->upstream || wanted.size() >= kMostProbes) continue;
    const auto plan = probe_plan(*service, most * 3 / 8 - milliseconds(100));
    for (const auto& endpoint : service->upstream->endpoints) {
      if (endpoint->place() > 0 && !endpoint->has_address()) continue;
      wanted.push_back({plan, endpoint});
      world->servers.push_back({service->config.name, endpoint->label(), !endpoint->host().empty(), false, {}});
    }
  }
  world->probes_left = wanted.size();
  for (size_t i = 0; i < wanted.size(); ++i) {
    world->probes.push_back(std::make_unique<Probe>(world->servers[i], world->probes_left));
    world->probes.back()->begin(world->io, wanted[i].plan, wanted[i].endpoint);
  }
  run_until(world->loop, most * 3 / 8, [world] { return world->probes_left == 0; });

  // Many a TLS server answers plain bytes with nothing but a reset.
  std::vector<ProbedServer> again(wanted.size());
  world->probes_left = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const HealthCheck::Outcome& outcome = world->servers[i].outcome;
    if (outcome.passed || !outcome.connected || wanted[i].plan->tls) continue;
    auto plan = std::make_shared<HealthPlan>(*wanted[i].plan);
    plan->rules.timeout = most / 4 - milliseconds(100);
    ask_for_tls(*plan);
    ++world->probes_left;
    world->probes.push_back(std::make_unique<Probe>(again[i], world->probes_left));
    world->probes.back()->begin(world->io, std::move(plan), wanted[i].endpoint);
  }
  run_until(world->loop, most / 4, [world] { return world->probes_left == 0 && world->names_left == 0; });
  for (size_t i = 0; i < wanted.size(); ++i)
    if (again[i].outcome.passed)
      world->servers[i].outcome.reason = advice(ProtocolHint::speaks_tls, wanted[i].plan->side);

  out.servers = world->servers;
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto& answer = world->answers[i];
    if (!answer)
      out.names.push_back({hosts[i], out_of_time()});
    else if (answer->ok())
      out.names.push_back({hosts[i], (*answer)->addresses});
    else
      out.names.push_back({hosts[i], answer->error()});
  }
  world->probes.clear();
  world->loop.purge();
  if (Resolver::pending() == 0 && world->names_left == 0 && world->names.pending() == 0) delete world;
  return out;
}

}  // namespace sallyport
