// The keys of a service.
#include "admin/schema_parts.h"

#include "config/presets.h"

namespace sallyport::schema {
namespace {

json modes() {
  return words("what happens to its clients; a preset may give it",
               {"passthrough", "edge", "reencrypt", "http", "redirect", "ssh", "tcp"});
}

json presets() {
  json names = json::array();
  for (const config::Preset& preset : config::presets()) names.push_back(preset.name);
  return {{"description", "known-good values for a known server; `sallyport preset NAME` shows them"},
          {"enum", std::move(names)}};
}

json certificate(const char* about) {
  json out = text(about);
  out["type"] = "string";
  return out;
}

json server() {
  const json address = text("host:port, [v6]:port or unix:/path", kServer);
  json full = object("a server with more to say of it",
                     {{"address", address},
                      {"name", text("for logs and commands", kName)},
                      {"weight", number("its share of new clients; 0: none", 0, 256)},
                      {"backup", boolean("only when no other server is up")},
                      {"max_connections", number("how many connections it gets at once; 0: no limit", 0, 10'000'000)}});
  full["required"] = {"address"};
  return either("where traffic goes on to", {address, std::move(full)});
}

json server_tls() {
  return object("TLS towards servers",
                {{"verify", words("whether the server's certificate is verified", {"required", "none"})},
                 {"ca", certificate("who must have signed it; default: the system's store")},
                 {"name", text("the name to ask for and to verify")},
                 {"client_certificate", certificate("what the gateway shows to the server")},
                 {"protocol", words("of HTTP: auto agrees on it (ALPN)", {"auto", "http/1.1", "h2"})}});
}

json health_types() {
  return words("how a server is asked whether it is up",
               {"off", "tcp", "tls", "http", "https", "ssh", "smtp", "mysql", "postgres", "redis"});
}

json health() {
  const json status = either(
      "a status, or a range such as 200-399",
      {{{"type", "integer"}, {"minimum", 100}, {"maximum", 599}}, text("", "^[1-5][0-9]{2}( *- *[1-5][0-9]{2})?$")});
  return either(
      "which servers are up",
      {health_types(),
       object(
           "which servers are up",
           {{"type", health_types()},
            {"interval", duration("between two checks")},
            {"timeout", duration("for one check")},
            {"fall", number("failures in a row that take a server down", 1, 1000)},
            {"rise", number("good checks in a row that bring it back", 1, 1000)},
            {"port", number("where to ask, if not where clients are sent", 1, 65535)},
            {"method", text("of the request", "^[A-Za-z0-9._-]{1,32}$")},
            {"path", text("of the request", kPath)},
            {"expect", one_or_list("good statuses", status)},
            {"body", text("text that the answer must hold")},
            {"host", text("Host, and the name asked for in TLS")},
            {"verify", words("whether its certificate is verified", {"required", "none"})},
            {"user", text("for checks of type mysql and postgres")},
            {"password", text("for checks of type mysql, postgres and redis; use !file")},
            {"passive", object("watch traffic, too", {{"failures", number("how many in a row; 0: never", 0, 1'000'000)},
                                                      {"window", duration("within this time")}})},
            {"on_down", words("what happens to those who are on a server that goes down", {"keep", "close"})}})});
}

json sticky() {
  return either("a client comes back to the server it had",
                {{{"const", "off"}},
                 object("a client comes back to the server it had",
                        {{"by", words("what a client is known by", {"source", "cookie"})},
                         {"expire", duration("by source: how long it is remembered")},
                         {"size", number("by source: how many are remembered", 1, 10'000'000)},
                         {"ipv6_prefix", number("by source: how much of an IPv6 address is the client", 32, 128)},
                         {"name", text("by cookie: its name", "^[A-Za-z0-9._-]{1,64}$")}})});
}

json timeouts() {
  return object("times without progress; 0 is never",
                {{"connect", duration("connecting to a server, TLS included")},
                 {"handshake", duration("accepting a connection to the end of its TLS handshake")},
                 {"request", duration("first byte of a request to the end of its header")},
                 {"keep_alive", duration("between requests")},
                 {"client", duration("no progress reading from or writing to the client")},
                 {"server", duration("request sent to the head of the response")},
                 {"tunnel", duration("no byte in either direction")}});
}

json header_edits(const char* about) {
  const json values{{"type", "object"}, {"additionalProperties", {{"type", {"string", "number", "boolean"}}}}};
  return object(about, {{"set", values}, {"add", values}, {"remove", list_of("names of headers", text(""))}});
}

json client_certificates() {
  return object("ask clients for a certificate",
                {{"ca", certificate("who must have signed it")},
                 {"verify", words("whether a client must show one", {"required", "optional"})},
                 {"crl", certificate("those that were revoked")}});
}

json redirect() {
  return object("mode redirect: where to",
                {{"to", text("an absolute URL", "^[Hh][Tt][Tt][Pp][Ss]?://")},
                 {"status", words("of the answer", {301, 302, 303, 307, 308, "301", "302", "303", "307", "308"})},
                 {"keep_path", boolean("append the client's path and query")}});
}

json retry_on() {
  return list_of("after what another server is tried",
                 either("connect, reset or a status", {{{"enum", {"connect", "reset"}}},
                                                       {{"type", "integer"}, {"enum", {404, 408, 425, 429}}},
                                                       {{"type", "integer"}, {"minimum", 500}, {"maximum", 599}},
                                                       text("", "^(404|408|425|429|5[0-9]{2})$")}));
}

// Has its place among the keys, and is a fault until a later version.
json later(const char* about) { return {{"description", about}, {"not", json::object()}}; }

}  // namespace

json service_properties() {
  return {
      {"name", text("of the service; default: the path of the file", kName)},
      {"mode", modes()},
      {"protocol", words("edge, reencrypt: tcp passes the decrypted bytes on as they are", {"http", "tcp"})},
      {"listen", one_or_list("listeners, or addresses such as \":5432\"",
                             either("", {text("the name of a listener", kName), text("an address", kBind)}))},
      {"hosts",
       {{"description", "names that clients ask for; \"*.example.tld\" is one label, \"*\" any name"},
        {"type", "array"},
        {"minItems", 1},
        {"items", text("a host", kHost)}}},
      {"paths",
       {{"description", "prefixes by whole segments; the longest wins"},
        {"type", "array"},
        {"minItems", 1},
        {"items", text("a path", kPath)}}},
      {"servers",
       {{"description", "where traffic goes on to"}, {"type", "array"}, {"minItems", 1}, {"items", server()}}},
      {"plain_http", words("edge, reencrypt: what plain HTTP for these hosts gets", {"redirect", "serve", "refuse"})},
      {"redirect", redirect()},
      {"server_tls", server_tls()},
      {"server_protocol", words("edge, http: what servers without TLS speak", {"http/1.1", "h2"})},
      {"balance",
       words("who gets the next client", {"round-robin", "least-connections", "source-hash", "uri-hash", "random"})},
      {"slow_start", duration("how long a server that was down takes to get its whole share")},
      {"sticky", sticky()},
      {"health", health()},
      {"queue", object("those who wait for a server with max_connections",
                       {{"size", number("how many may wait; 0: nobody", 0, 1'000'000)},
                        {"timeout", duration("for how long; 0: for ever")}})},
      {"retries", number("how often another server is tried", 0, 100)},
      {"retry_on", retry_on()},
      {"resolve", words("what a server's name stands for", {"first", "all", "srv"})},
      {"proxy_protocol",
       words("tell servers who the client is, by a header before the first byte", {"off", "v1", "v2"})},
      {"transparent", boolean("connect from the client's own address; needs CAP_NET_ADMIN and a way back")},
      {"timeouts", timeouts()},
      {"headers", object("edit headers", {{"request", header_edits("towards the server")},
                                          {"response", header_edits("towards the client")}})},
      {"hsts", later("not in this version")},
      {"access", object("by client address: deny beats allow, a non-empty allow denies the rest",
                        {{"allow", networks("who may come")}, {"deny", networks("who may not")}})},
      {"rate_limit", later("not in this version")},
      {"certificate",
       certificate("a fixed certificate; default: the one in the certificates folder that has the name")},
      {"client_certificates", client_certificates()},
      {"acme_challenge", words("who answers challenges for these hosts", {"gateway"})},
      {"preset", presets()},
  };
}

}  // namespace sallyport::schema
