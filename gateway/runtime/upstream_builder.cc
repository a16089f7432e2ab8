#include "runtime/upstream_builder.h"

#include <algorithm>
#include <iterator>

#include "base/format.h"
#include "transport/crypto.h"
#include "upstream/balancer.h"
#include "upstream/name_group.h"

namespace sallyport {
namespace {

using config::Mode;

Alpn server_alpn(const config::Service& service) {
  if (service.mode != Mode::http && (service.mode != Mode::reencrypt || service.protocol_tcp)) return Alpn::none;
  switch (service.server_tls.protocol) {
    case config::HttpProtocol::auto_: return Alpn::either;
    case config::HttpProtocol::http1: return Alpn::http1;
    case config::HttpProtocol::h2: return Alpn::h2;
  }
  return Alpn::none;
}

bool health_speaks_tls(const config::Service& service) {
  return service.health.type == config::Health::Type::tls || service.health.type == config::Health::Type::https;
}

config::ServerTls health_tls_of(const config::Service& service) {
  config::ServerTls tls = service.server_tls;
  tls.verify = service.health.verify.value_or(config::Verify::none);
  return tls;
}

Alpn health_alpn(const config::Service& service) {
  return service.health.type == config::Health::Type::https ? Alpn::http1 : Alpn::none;
}

bool stands_for_several(const config::Service& service, const config::Server& server) {
  return service.resolve != config::Resolve::first && server.unix_path.empty() &&
         !Address::parse_ip(server.host, 0).ok();
}

// How many servers each name may stand for: as many as there is room for, where each server has a bit in Tried.
size_t places_of_name(const config::Service& service) {
  constexpr size_t kMost = sizeof(Tried) * 8;
  const auto names = static_cast<size_t>(
      std::count_if(service.servers.begin(), service.servers.end(),
                    [&](const config::Server& server) { return stands_for_several(service, server); }));
  const size_t others = std::min(service.servers.size() - names, kMost);
  return std::clamp((kMost - others) / std::max<size_t>(names, 1), size_t{1}, NameGroup::kPlaces);
}

// Servers that stay have connections that hold their slots, and clients that wait: the queue stays with them.
void add_queue(Upstream& upstream, const Upstream* old) {
  const bool limited = std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(),
                                   [](const auto& endpoint) { return endpoint->max_connections() != 0; });
  if (!limited) return;
  if (old != nullptr) upstream.queue = old->queue;
  if (!upstream.queue) upstream.queue = std::make_shared<ServerQueue>();
  for (const auto& endpoint : upstream.endpoints)
    if (!endpoint->queue && endpoint->max_connections() != 0) endpoint->queue = upstream.queue;
}

}  // namespace

// A server that stands in the previous snapshot too goes on with what is known of it.
std::shared_ptr<Endpoint> UpstreamBuilder::known(const Upstream* old, std::shared_ptr<Endpoint> fresh) {
  if (old == nullptr) return fresh;
  for (const auto& candidate : old->endpoints) {
    if (!candidate->stands_for(*fresh)) continue;
    if (candidate->written() != fresh->written()) rewrites_.push_back({candidate, fresh->written()});
    return candidate;
  }
  return fresh;
}

// The workers' pools and balancers go by an endpoint's index: a name that stands for several servers has its places
// from the start.
void UpstreamBuilder::add_endpoints(Upstream& upstream, const config::Service& service, const config::Server& server,
                                    uint16_t port, const Upstream* old) {
  if (!stands_for_several(service, server)) {
    upstream.endpoints.push_back(known(old, std::make_shared<Endpoint>(server, port)));
    return;
  }
  const auto places = static_cast<int>(places_of_name(service));
  for (int place = 0; place < places; ++place)
    upstream.endpoints.push_back(
        known(old, std::make_shared<Endpoint>(server, port, service.resolve, place)));
}

Result<std::unique_ptr<Upstream>> UpstreamBuilder::build(const config::Service& wanted, const Upstream* old,
                                                         uint16_t listener_port) {
  auto upstream = std::make_unique<Upstream>();
  upstream->service = wanted.name;
  upstream->balance = wanted.balance;
  upstream->timeouts = wanted.timeouts;
  upstream->slow_start = wanted.slow_start;
  upstream->retries = wanted.retries;
  upstream->retry_on = wanted.retry_on;
  upstream->health = wanted.health;
  upstream->queue_limits = wanted.queue;
  upstream->transparent = wanted.transparent;
  upstream->proxy_protocol = wanted.proxy_protocol;
  upstream->protocol = wanted.server_protocol;
  if (wanted.server_tls.enabled) {
    if (auto made = add_server_tls(*upstream, wanted); !made) return made.error();
    upstream->tls_name = wanted.server_tls.name;
    upstream->tls_verify = wanted.server_tls.verify == config::Verify::required;
  }
  upstream->side = server_side(wanted);
  if (auto made = add_health_tls(*upstream, wanted); !made) return made.error();
  for (const config::Server& server : wanted.servers) add_endpoints(*upstream, wanted, server, listener_port, old);
  add_queue(*upstream, old);
  add_sticky(*upstream, wanted, old);
  return upstream;
}

std::string UpstreamBuilder::materials(const config::Service& service) const {
  std::string out;
  if (service.server_tls.enabled) out += contexts_.upstream_key(service.server_tls, server_alpn(service));
  if (health_speaks_tls(service)) out += contexts_.upstream_key(health_tls_of(service), health_alpn(service));
  return out;
}

Status UpstreamBuilder::add_server_tls(Upstream& upstream, const config::Service& wanted) {
  const Alpn alpn = server_alpn(wanted);
  auto context = contexts_.upstream(wanted.server_tls, alpn);
  if (!context) return context.error();
  upstream.tls = std::move(*context);
  if (alpn == Alpn::none) return success();
  upstream.protocol = wanted.server_tls.protocol;
  if (alpn != Alpn::either) return success();
  auto http1 = contexts_.upstream(wanted.server_tls, Alpn::http1);
  if (!http1) return http1.error();
  upstream.tls_http1 = std::move(*http1);
  return success();
}

// Checks speak TLS when their type says so, be it that traffic does not.
Status UpstreamBuilder::add_health_tls(Upstream& upstream, const config::Service& wanted) {
  if (!health_speaks_tls(wanted)) return success();
  auto context = contexts_.upstream(health_tls_of(wanted), health_alpn(wanted));
  if (!context) return context.error();
  upstream.health_tls = std::move(*context);
  return success();
}

void UpstreamBuilder::add_sticky(Upstream& upstream, const config::Service& wanted, const Upstream* old) const {
  using By = config::Sticky::By;
  if (wanted.sticky.by == By::source) {
    upstream.sticky = old != nullptr && old->sticky && old->sticky->fits(wanted.sticky)
                          ? old->sticky
                          : std::make_shared<StickyTable>(wanted.sticky);
  }
  if (wanted.sticky.by != By::cookie) return;
  upstream.cookie = wanted.sticky.cookie;
  for (const auto& endpoint : upstream.endpoints) {
    const std::string text = wanted.name + '\n' + std::to_string(endpoint->identity());
    const auto digest = hmac_sha256(as_bytes(cookie_secret_), as_bytes(text));
    std::string value;
    for (size_t i = 0; i < 16; ++i) format_to(std::back_inserter(value), "{:02x}", digest[i]);
    upstream.cookie_values.push_back(std::move(value));
  }
}

}  // namespace sallyport
