#include "layers/terminate/dispatch.h"

#include <utility>

#include "http/forwarding.h"
#include "layers/policies/access.h"
#include "layers/policies/headers.h"
#include "layers/redirect/redirect.h"
#include "layers/rules.h"

namespace sallyport {
namespace {

std::string_view key_of(const Service& service, const ServerConnection& connection, std::string_view host) noexcept {
  const Upstream& upstream = *service.upstream;
  return Connector::pool_key(upstream, *upstream.endpoints[connection.endpoint], host);
}

const http::Reply* refuse(Client& client, Exchange& exchange, int status, Rejection why, End end, std::string_view reason) {
  client.reject(why);
  exchange.end = end;
  exchange.reason = reason;
  client.worker->answer = http::error_reply(status);
  return &client.worker->answer;
}

void prepare(Client& client, Exchange& exchange) {
  http::RequestHead& request = exchange.request;
  http::ForwardedFor from;
  from.peer = client.peer;
  from.client = exchange.client_address;
  from.tls = client.tls;
  from.port = client.listener->public_port != 0 ? client.listener->public_port : client.local().port();
  if (client.listener->trusted_proxies != nullptr)
    for (const Network& network : *client.listener->trusted_proxies)
      if (network.contains(client.peer)) from.peer_trusted = true;
  // HTTP/1.0 without Host: servers of today want one.
  if (request.authority.empty()) request.authority = client.sni.empty() ? client.local().ip_text() : client.sni;
  http::forward_request(request, from, request.wants_upgrade);
  apply(exchange.service->config.request_headers, request.fields);
}

}  // namespace

const http::Reply* dispatch(Client& client, Exchange& exchange, std::string_view client_rule) {
  http::RequestHead& request = exchange.request;
  const ListenerRules& rules = *client.listener;
  exchange.host = request.authority;
  exchange.path = request.target;
  if (client.worker->access_log.wants_headers()) {
    exchange.referer = request.fields.find(http::HeaderId::referer).value_or(std::string_view());
    exchange.user_agent = request.fields.find(http::HeaderId::user_agent).value_or(std::string_view());
  }
  client.count_request();
  if (rules.trusted_proxies != nullptr && !rules.trusted_proxies->empty())
    exchange.client_address = http::client_address(request.fields, client.peer, *rules.trusted_proxies);

  std::string_view path = request.target == "*" ? std::string_view("/") : request.path();
  Route route = client.tls ? route_tls(rules, request.host, path, client_rule) : route_plain(rules, request.host, path);
  if (route.service != nullptr) {
    exchange.service = client.use(*route.service);
    route.service->stats->of(client.worker->number).open.add();
    if (!admits(route.service->config.access, exchange.client_address))
      return refuse(client, exchange, 403, Rejection::access, End::denied, "access");
  }
  switch (route.kind) {
    case Route::Kind::proxy: break;
    case Route::Kind::redirect:
      make_redirect_for(route.service->config.redirect, request, client.worker->answer);
      return &client.worker->answer;
    case Route::Kind::to_https:
      http::make_https_redirect(client.worker->answer, request, route.https_port);
      return &client.worker->answer;
    case Route::Kind::status: return refuse(client, exchange, route.status, Rejection::no_route, End::no_route, {});
  }
  prepare(client, exchange);
  return nullptr;
}

bool same_rule(const Client& client, std::string_view client_rule) {
  if (!client.tls) return true;
  const TlsHost* host = client.listener->tls.find(client.sni);
  if (host == nullptr) return client_rule.empty();
  return host->passthrough == nullptr && host->tcp == nullptr && host->client_rule == client_rule;
}

void PinnedConnections::offer(Exchange& exchange) {
  for (size_t i = 0; i < pinned_.size();) {
    Pinned& pinned = pinned_[i];
    if (!pinned.connection.transport->quiet()) {
      pinned_.erase(pinned_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    if (pinned.service.get() == exchange.service.get() &&
        pinned.key == key_of(*pinned.service, pinned.connection, exchange.request.host)) {
      exchange.offer_pinned(std::move(pinned.connection));
      pinned_.erase(pinned_.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
    ++i;
  }
}

void PinnedConnections::forget_retired() {
  std::erase_if(pinned_, [](const Pinned& pinned) { return pinned.service.retired(); });
}

void PinnedConnections::keep(Exchange& exchange) {
  ServerConnection connection = exchange.take_pinned();
  if (!connection.transport) return;
  while (pinned_.size() >= most_) pinned_.erase(pinned_.begin());
  std::string key(key_of(*exchange.service, connection, exchange.request.host));
  pinned_.push_back({exchange.service, std::move(key), std::move(connection)});
}

}  // namespace sallyport
