#include "admin/schema.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "admin/schema_parts.h"
#include "config/service_parts.h"

namespace sallyport {
namespace {

using config::ServiceParts;
using json = nlohmann::ordered_json;
using namespace schema;

constexpr const char* kDraft = "http://json-schema.org/draft-07/schema#";

json mode_is(const char* mode) { return {{"properties", {{"mode", {{"const", mode}}}}}, {"required", {"mode"}}}; }

// Keys that mean nothing in any of these kinds.
json without_meaning(unsigned kinds) {
  json out = json::object();
  for (const ServiceParts::Key& key : ServiceParts::keys())
    if ((key.kinds & kinds) == 0) out[std::string(key.name)] = false;
  return out;
}

json rule(json condition, unsigned kinds) {
  return {{"if", std::move(condition)}, {"then", {{"properties", without_meaning(kinds)}}}};
}

json service() {
  json out{{"type", "object"},
           {"properties", service_properties()},
           {"additionalProperties", false},
           {"anyOf", {{{"required", {"mode"}}}, {{"required", {"preset"}}}}}};
  json rules = json::array();
  const struct {
    const char* mode;
    unsigned kinds;
  } modes[] = {{"passthrough", config::kPassthrough},
               {"edge", config::kEdge | config::kEdgeTcp},
               {"reencrypt", config::kReencrypt | config::kReencryptTcp},
               {"http", config::kHttp},
               {"redirect", config::kRedirect},
               {"ssh", config::kSsh},
               {"tcp", config::kTcp}};
  for (const auto& [mode, kinds] : modes) rules.push_back(rule(mode_is(mode), kinds));
  for (const auto& [mode, kind] :
       {std::pair("edge", config::kEdgeTcp), std::pair("reencrypt", config::kReencryptTcp)}) {
    json both = mode_is(mode);
    both["properties"]["protocol"] = {{"const", "tcp"}};
    both["required"] = {"mode", "protocol"};
    rules.push_back(rule(std::move(both), kind));
  }
  rules.push_back({{"if", mode_is("redirect")},
                   {"then", {{"required", {"redirect"}}, {"properties", {{"redirect", {{"required", {"to"}}}}}}}},
                   {"else", {{"required", {"servers"}}}}});
  rules.push_back({{"if", mode_is("tcp")}, {"then", {{"required", {"listen"}}}}});
  out["allOf"] = std::move(rules);
  return out;
}

json listener() {
  const json http2 = object("what one connection of a client may cost",
                            {{"max_concurrent_streams", number("requests at the same time", 1, 1'000)},
                             {"max_header_list", size("names and values of a request")},
                             {"max_headers", number("fields of a request", 10, 2'000)},
                             {"stream_window", size("of one upload, what may be on its way")},
                             {"connection_window", size("of all uploads of a connection")},
                             {"max_resets", number("requests taken back in a burst", 10, 1'000'000)},
                             {"max_control_frames", number("frames that bring nothing, in a burst", 100, 1'000'000)}});
  return either(
      "where clients come in",
      {{{"const", "off"}},
       object("where clients come in",
              {{"bind", one_or_list("\":443\" is every address; \"10.0.0.6:80\", \"[::1]:80\", \"unix:/path\"",
                                    text("an address", kBind))},
               {"public_port", number("the port that clients see, if it is another", 1, 65535)},
               {"accept_proxy", networks("peers that must send the PROXY header")},
               {"max_connections", number("of this listener", 1, 10'000'000)},
               {"http2", either("on, off, or limits", {{{"enum", {"on", "off"}}}, http2})}})});
}

json nullable(json section) {
  json about = section["description"];
  return {{"description", std::move(about)}, {"anyOf", {std::move(section), {{"type", "null"}}}}};
}

json certificates() {
  return object("certificates, and how TLS is spoken with clients",
                {{"directory", text("the folder of certificates and keys")},
                 {"default", text("served where no name matches")},
                 {"min_version", words("the oldest TLS", {"1.2", "1.3", 1.2, 1.3})},
                 {"ciphers", text("OpenSSL's cipher list, for TLS 1.2")},
                 {"ciphersuites", text("OpenSSL's cipher suites, for TLS 1.3")},
                 {"groups", text("key exchange groups")}});
}

json admin() {
  const json off{{"const", "off"}};
  return either("commands, API, dashboard and metrics",
                {off, object("commands, API, dashboard and metrics",
                             {{"bind", either("one address, or off", {text("an address", kBind), off})},
                              {"socket", text("a unix socket, or off")},
                              {"token", text("needed to change anything over HTTP; use !file")},
                              {"hosts", list_of("names that the dashboard may be asked by", text("a host", kHost))}})});
}

json logs() {
  return object(
      "what is logged, how, and where to",
      {{"format", either("how a line looks, or a format of one's own, such as '{client} {status}'",
                         {{{"enum", {"text", "json", "clf", "haproxy"}}}, text("", "[{}% ]")})},
       {"target", either("where lines go: stderr, journald, syslog:… or a file with a / in its path",
                         {{{"enum", {"stderr", "journald", "syslog"}}}, text("", "^syslog:(udp|tcp|unix):.|/.")})},
       {"access", boolean("one line for each request or TCP session")},
       {"level", words("what is worth a line", {"error", "warn", "info", "debug"})}});
}

json number_or_auto(const char* about, uint64_t most) {
  return either(about, {{{"const", "auto"}}, number(about, 1, most)});
}

json defaults() {
  json properties = service_properties();
  for (const ServiceParts::Key& key : ServiceParts::keys())
    if (!key.in_defaults) properties.erase(std::string(key.name));
  return object("keys that all services begin with", std::move(properties));
}

}  // namespace

json service_schema() {
  return {{"$schema", kDraft},
          {"title", "sallyport: a file in conf.d"},
          {"definitions",
           {{"service", service()},
            {"named", {{"allOf", {{{"$ref", "#/definitions/service"}}, {{"required", {"name"}}}}}}}}},
          {"if", {{"type", "array"}}},
          {"then",
           {{"if", {{"minItems", 2}}},
            {"then", {{"items", {{"$ref", "#/definitions/named"}}}}},
            {"else", {{"items", {{"$ref", "#/definitions/service"}}}}}}},
          {"else", {{"$ref", "#/definitions/service"}}}};
}

json gateway_schema() {
  json listeners{{"description", "where clients come in; http, https and ssh are always there"},
                 {"type", "object"},
                 {"properties", {{"http", listener()}, {"https", listener()}, {"ssh", listener()}}},
                 {"propertyNames", {{"pattern", kName}}},
                 {"additionalProperties", listener()}};
  return {{"$schema", kDraft},
          {"title", "sallyport: gateway.yaml"},
          {"type", {"object", "null"}},
          {"additionalProperties", false},
          {"properties",
           {{"listeners", nullable(std::move(listeners))},
            {"defaults", nullable(defaults())},
            {"certificates", nullable(certificates())},
            {"services", text("the folder of services")},
            {"state", text("the folder of what must survive a restart")},
            {"workers", number_or_auto("event-loop threads", 1024)},
            {"max_connections", number_or_auto("of the whole gateway", 10'000'000)},
            {"drain_timeout", duration("how long connections may go on after a stop or a reload")},
            {"admin", nullable(admin())},
            {"logs", nullable(logs())},
            {"trusted_proxies", networks("whose X-Forwarded-* and Forwarded are believed")},
            {"alerts", alerts()}}}};
}

}  // namespace sallyport
