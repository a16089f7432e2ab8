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
            reader_.later("backup", {"false"}),
            reader_.later("max_connections", {"0"}),
        });
    if (!address_written) reader_.error(node, "a server needs \"address\"");
  } else {
    server = reader_.value(node, parse_server);
    if (server) server->at = node.position();
  }
  if (!server) return;
  server->name = name.empty() ? server->text : name;
  server->weight = weight;
  if (server->port == 0 && server->unix_path.empty() && (draft_.kind & (kSsh | kTcp)) == 0)
    return reader_.error(server->at,
                         format("the server {} needs a port, such as {}:{}", server->text,
                                server->host.find(':') == std::string::npos ? server->host : "[" + server->host + "]",
                                (draft_.kind & (kEdge | kHttp)) != 0 ? 80 : 443));
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
  if (!draft_.from_defaults) tls.enabled = true;
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

void ServiceParts::balance(const YamlNode& value, const YamlNode&) {
  static constexpr Word<Balance> kWords[] = {{"round-robin", Balance::round_robin},
                                             {"least-connections", Balance::least_connections},
                                             {"source-hash", Balance::source_hash},
                                             {"uri-hash", Balance::round_robin, true},
                                             {"random", Balance::round_robin, true}};
  if (auto word = reader_.word(value, "balance", kWords)) draft_.service.balance = *word;
}

void ServiceParts::retries(const YamlNode& value, const YamlNode&) {
  if (auto number = reader_.number(value, 0, 100)) draft_.service.retries = static_cast<int>(*number);
}

void ServiceParts::retry_on(const YamlNode& value, const YamlNode&) {
  if (!reader_.list(value)) return;
  if (value.items.empty())
    reader_.error(value, "an empty \"retry_on\" is not supported in this version; \"retries: 0\" ends retries");
  static constexpr Word<bool> kWords[] = {
      {"connect", true}, {"reset", true, true}, {"502", true, true}, {"503", true, true}, {"504", true, true}};
  for (const YamlNode* item : value.items) static_cast<void>(reader_.word(*item, "retry_on", kWords));
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

void ServiceParts::health(const YamlNode& value, const YamlNode& key) {
  static constexpr Word<bool> kTypes[] = {{"off", true},        {"tcp", true, true},   {"tls", true, true},
                                          {"http", true, true}, {"https", true, true}, {"ssh", true, true},
                                          {"smtp", true, true}, {"mysql", true, true}, {"postgres", true, true},
                                          {"redis", true, true}};
  if (!value.is_mapping()) {
    static_cast<void>(reader_.word(value, "health", kTypes));
    return;
  }
  static constexpr std::string_view kKnown[] = {"type", "interval", "timeout", "fall",   "rise", "port",
                                                "path", "method",   "expect",  "body",   "host", "verify",
                                                "user", "password", "passive", "on_down"};
  const std::vector<YamlNode::Entry> entries = reader_.entries(value, "health");
  if (entries.empty()) reader_.unsupported(key, "health");
  for (const YamlNode::Entry& entry : entries) {
    if (std::find(std::begin(kKnown), std::end(kKnown), entry.key->value) == std::end(kKnown)) {
      reader_.unknown_key(*entry.key, kKnown);
    } else if (entry.key->value == "type") {
      static_cast<void>(reader_.word(*entry.value, "health", kTypes));
    } else {
      reader_.unsupported(*entry.key, "health." + entry.key->value);
    }
  }
}

// Without TLS there is nothing to agree by: the protocol is known beforehand (RFC 9113 section 3.3).
void ServiceParts::server_protocol(const YamlNode& value, const YamlNode& key) {
  static constexpr Word<HttpProtocol> kWords[] = {{"http/1.1", HttpProtocol::http1}, {"h2", HttpProtocol::h2}};
  if (!draft_.from_defaults) draft_.server_protocol_at = key.position();
  if (auto word = reader_.word(value, "server_protocol", kWords)) draft_.service.server_protocol = *word;
}

void ServiceParts::slow_start(const YamlNode& value, const YamlNode& key) {
  const auto time = reader_.value(value, parse_duration);
  if (time && time->count() != 0) reader_.unsupported(key, "slow_start: " + value.value);
}

void ServiceParts::resolve(const YamlNode& value, const YamlNode&) {
  static constexpr Word<bool> kWords[] = {{"first", true}, {"all", true, true}, {"srv", true, true}};
  static_cast<void>(reader_.word(value, "resolve", kWords));
}

void ServiceParts::transparent(const YamlNode& value, const YamlNode&) {
  const auto on = reader_.boolean(value);
  if (on && *on) reader_.unsupported(value, "transparent: true");
}

void ServiceParts::acme_challenge(const YamlNode& value, const YamlNode&) {
  static constexpr Word<bool> kWords[] = {{"gateway", true}, {"service", true, true}};
  static_cast<void>(reader_.word(value, "acme_challenge", kWords));
}

void ServiceParts::unsupported(const YamlNode&, const YamlNode& key) { reader_.unsupported(key, key.value); }

}  // namespace sallyport::config
