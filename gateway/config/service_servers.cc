// Where a service's traffic goes on to, and how.
#include <algorithm>

#include "base/format.h"
#include "base/host.h"
#include "config/parse_service.h"
#include "config/service_parts.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostServers = 1000;

}  // namespace

void ServiceParts::servers(const YamlNode& value, const YamlNode&) {
  draft_.servers_written = true;
  if (!reader_.list(value)) return;
  if (value.items.empty()) reader_.error(value, "\"servers\" is empty: a service needs at least one");
  if (value.items.size() > kMostServers) return reader_.error(value, format("more than {} servers", kMostServers));
  for (const YamlNode* item : value.items) one_server(*item);
}

void ServiceParts::one_server(const YamlNode& node) {
  std::optional<Server> server;
  std::string name;
  uint32_t weight = 1;
  bool backup = false;
  uint32_t max_connections = 0;
  const YamlNode* name_node = nullptr;
  if (node.is_mapping()) {
    bool address_written = false;
    reader_.fields(
        node, "a server",
        {
            {"address",
             [&](const YamlNode& v, const YamlNode&) {
               address_written = true;
               server = reader_.value(v, parse_server);
               if (server) server->at = v.position();
             }},
            {"name",
             [&](const YamlNode& v, const YamlNode&) {
               const auto written = reader_.text(v);
               if (!written) return;
               name_node = &v;
               if (is_plain_name(*written))
                 name = *written;
               else
                 reader_.error(
                     v, format("the name of a server is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found {}",
                               quote(*written)));
             }},
            {"weight",
             [&](const YamlNode& v, const YamlNode&) { weight = reader_.number(v, 0, 256).value_or(weight); }},
            {"backup", [&](const YamlNode& v, const YamlNode&) { backup = reader_.boolean(v).value_or(backup); }},
            {"max_connections",
             [&](const YamlNode& v, const YamlNode&) {
               max_connections = reader_.number(v, 0, 10'000'000).value_or(max_connections);
             }},
        });
    if (!address_written) reader_.error(node, "a server needs \"address\"");
  } else {
    server = reader_.value(node, parse_server);
    if (server) server->at = node.position();
  }
  if (!server) return;
  server->name = name.empty() ? server->text : name;
  server->weight = weight;
  server->backup = backup;
  server->max_connections = max_connections;
  for (const Server& other : draft_.service.servers) {
    if (other.host == server->host && other.port == server->port && other.unix_path == server->unix_path)
      return reader_.error(server->at, format("the server {} is written twice", quote(server->text)));
    if (other.name == server->name)
      return reader_.error(name_node != nullptr ? name_node->position() : server->at,
                           format("two servers have the name {}", quote(server->name)));
  }
  draft_.service.servers.push_back(std::move(*server));
}

void ServiceParts::server_tls(const YamlNode& value, const YamlNode&) {
  static constexpr Word<Verify> kVerify[] = {{"required", Verify::required}, {"none", Verify::none}};
  static constexpr Word<HttpProtocol> kProtocol[] = {
      {"auto", HttpProtocol::auto_}, {"http/1.1", HttpProtocol::http1}, {"h2", HttpProtocol::h2}};
  ServerTls& tls = draft_.service.server_tls;
  // In defaults it says how TLS is spoken to servers, not that it is: a tcp service would begin to speak TLS unasked.
  if (draft_.from != Draft::From::defaults) tls.enabled = true;
  tls.at = value.position();
  reader_.fields(value, "server_tls",
                 {
                     {"verify",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto verify = reader_.word(v, "verify", kVerify)) tls.verify = *verify;
                      }},
                     {"ca", [&](const YamlNode& v, const YamlNode&) { certificate_file(v, tls.ca); }},
                     {"name",
                      [&](const YamlNode& v, const YamlNode&) {
                        const auto written = reader_.text(v);
                        if (!written) return;
                        if (is_ip_literal(*written) || is_host_name(*written))
                          tls.name = normalized_host(*written);
                        else
                          reader_.error(v, format("expected a host name or an IP address, found {}", quote(*written)));
                      }},
                     {"client_certificate",
                      [&](const YamlNode& v, const YamlNode&) { certificate_file(v, tls.client_certificate); }},
                     {"protocol",
                      [&](const YamlNode& v, const YamlNode& k) {
                        if (!means_something(kReencrypt | kHttp, k, "server_tls")) return;
                        if (auto protocol = reader_.word(v, "protocol", kProtocol)) tls.protocol = *protocol;
                      }},
                 });
}

void ServiceParts::proxy_protocol(const YamlNode& value, const YamlNode&) {
  static constexpr Word<ProxyProtocol> kWords[] = {
      {"off", ProxyProtocol::off}, {"v1", ProxyProtocol::v1}, {"v2", ProxyProtocol::v2}};
  if (auto word = reader_.word(value, "proxy_protocol", kWords)) draft_.service.proxy_protocol = *word;
}

void ServiceParts::timeouts(const YamlNode& value, const YamlNode&) {
  Timeouts& to = draft_.service.timeouts;
  const auto time = [this](std::string_view name, unsigned kinds, Milliseconds& out) {
    return Field{name, [this, kinds, &out](const YamlNode& v, const YamlNode& k) {
                   if (!means_something(kinds, k, "timeouts")) return;
                   if (auto duration = reader_.value(v, parse_duration)) out = *duration;
                 }};
  };
  reader_.fields(value, "timeouts",
                 {
                     time("connect", kForwarded, to.connect),
                     time("handshake", kAll, to.handshake),
                     time("request", kRequests, to.request),
                     time("keep_alive", kRequests, to.keep_alive),
                     time("client", kRequests, to.client),
                     time("server", kRequests & ~kRedirect, to.server),
                     time("tunnel", kForwarded, to.tunnel),
                 });
}

// Without TLS there is nothing to agree by: the protocol is known beforehand (RFC 9113 section 3.3).
void ServiceParts::server_protocol(const YamlNode& value, const YamlNode& key) {
  static constexpr Word<HttpProtocol> kWords[] = {{"http/1.1", HttpProtocol::http1}, {"h2", HttpProtocol::h2}};
  if (!draft_.inherited()) draft_.server_protocol_at = key.position();
  if (auto word = reader_.word(value, "server_protocol", kWords)) draft_.service.server_protocol = *word;
}

void ServiceParts::resolve(const YamlNode& value, const YamlNode&) {
  static constexpr Word<Resolve> kWords[] = {{"first", Resolve::first}, {"all", Resolve::all}, {"srv", Resolve::srv}};
  if (auto word = reader_.word(value, "resolve", kWords)) draft_.service.resolve = *word;
}

void ServiceParts::transparent(const YamlNode& value, const YamlNode&) {
  if (auto on = reader_.boolean(value)) draft_.service.transparent = *on;
}

void ServiceParts::acme_challenge(const YamlNode& value, const YamlNode&) {
  static constexpr Word<bool> kWords[] = {{"gateway", true}, {"service", true, true}};
  static_cast<void>(reader_.word(value, "acme_challenge", kWords));
}

void ServiceParts::unsupported(const YamlNode&, const YamlNode& key) { reader_.unsupported(key, key.value); }

}  // namespace sallyport::config
