#include "config/parse_service.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "config/fingerprint.h"
#include "config/presets.h"
#include "config/service_parts.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostRoutes = 10'000;

constexpr Word<Mode> kModes[] = {{"passthrough", Mode::passthrough},
                                 {"edge", Mode::edge},
                                 {"reencrypt", Mode::reencrypt},
                                 {"http", Mode::http},
                                 {"redirect", Mode::redirect},
                                 {"ssh", Mode::ssh},
                                 {"tcp", Mode::tcp}};
constexpr Word<bool> kProtocols[] = {{"http", false}, {"tcp", true}};

const ServiceParts::Key* find_key(std::string_view name) {
  const auto keys = ServiceParts::keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const ServiceParts::Key& k) { return k.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

void unknown_key(Reader& reader, const YamlNode& key) {
  std::vector<std::string_view> names;
  for (const ServiceParts::Key& known : ServiceParts::keys()) names.push_back(known.name);
  reader.unknown_key(key, names);
}

const YamlNode* value_of(const std::vector<YamlNode::Entry>& entries, std::string_view key) {
  for (const YamlNode::Entry& entry : entries)
    if (entry.key->value == key) return entry.value;
  return nullptr;
}

// Where the mode is no help, what the user may have meant.
std::string hint(std::string_view key, unsigned kind) {
  if (key == "server_tls" && (kind & (kEdge | kEdgeTcp)) != 0) return "; mode reencrypt speaks TLS to servers";
  if (key == "hosts" && (kind & (kSsh | kTcp)) != 0) return ": it is routed by its listener";
  if (key == "paths" && kind == kPassthrough) return ": TLS is not decrypted";
  if (key == "headers" && kind == kPassthrough) return ": TLS is not decrypted";
  if (key == "server_protocol" && kind == kReencrypt)
    return ": it is for servers without TLS; see \"protocol\" in \"server_tls\"";
  if (key == "certificate" && kind == kPassthrough) return ": the server shows its own";
  return {};
}

// Reads one mapping of service keys into the draft; those that mean nothing in its mode are faults, or passed over.
void read_keys(Reader& reader, const std::string& certificates, Draft& draft,
               const std::vector<YamlNode::Entry>& entries) {
  ServiceParts parts(reader, certificates, draft);
  for (const YamlNode::Entry& entry : entries) {
    const ServiceParts::Key* key = find_key(entry.key->value);
    if (key == nullptr) {
      unknown_key(reader, *entry.key);
    } else if ((key->kinds & draft.kind) == 0) {
      if (!draft.inherited())
        reader.error(*entry.key, format("{} means nothing in {}{}", quote(key->name), kind_text(draft.kind),
                                        hint(key->name, draft.kind)));
    } else {
      (parts.*key->read)(*entry.value, *entry.key);
    }
  }
}

void resolve_listeners(Reader& reader, Listeners& listeners, Draft& draft) {
  Service& service = draft.service;
  if (!draft.listen_written && draft.kind == kTcp)
    return reader.error(service.at,
                        "mode tcp needs \"listen\": the name of a listener, or an address such as \":5432\"");
  if (!draft.listen_written && draft.kind != kAll) {
    Draft::Listen by_default;
    by_default.name = (draft.kind & (kHttp | kRedirect)) != 0 ? "http" : draft.kind == kSsh ? "ssh" : "https";
    by_default.at = service.at;
    draft.listen.push_back(by_default);
  }
  for (const Draft::Listen& listen : draft.listen) {
    const Position& at = listen.inherited ? service.at : listen.at;
    if (!listen.name.empty()) {
      const Listener* known = listeners.find(listen.name);
      if (known == nullptr) {
        reader.set_muted(listen.inherited);  // a fault of gateway.yaml, told there
        reader.error(at, listeners.unknown(listen.name));
        reader.set_muted(false);
        continue;
      }
      if (known->off) {
        reader.error(at, format("the listener {} is off ({}:{}:{})", quote(listen.name), known->at.file, known->at.line,
                                known->at.column));
        continue;
      }
    }
    const std::string name = listen.name.empty() ? listeners.at(listen.bind) : listeners.named(listen.name);
    if (std::find(service.listeners.begin(), service.listeners.end(), name) == service.listeners.end())
      service.listeners.push_back(name);
  }
}

// A server of ssh or tcp without a port has its listener's, if that is one.
void fill_ports(Reader& reader, const Listeners& listeners, Service& service) {
  std::optional<uint16_t> port;
  bool one = true;
  for (const std::string& name : service.listeners) {
    const Listener* listener = listeners.find(name);
    if (listener == nullptr) continue;
    for (const Bind& bind : listener->binds) {
      if (!bind.address.is_ip() || (port && *port != bind.address.port())) one = false;
      port = bind.address.port();
    }
  }
  for (Server& server : service.servers) {
    if (server.port != 0 || !server.unix_path.empty()) continue;
    if (one)
      server.port = port.value_or(0);
    else
      reader.error(server.at,
                   format("the server {} needs a port: its listener has more than one address", quote(server.text)));
  }
}

// What `health` leaves open is settled by the rest of the service.
void finish_health(Reader& reader, Draft& draft) {
  Service& service = draft.service;
  Health& health = service.health;
  using Type = Health::Type;
  const bool several = service.servers.size() > 1 || service.resolve != Resolve::first;
  if (health.type == Type::automatic) health.type = several ? Type::tcp : Type::off;
  if (!health.verify)
    health.verify = (draft.kind & (kReencrypt | kReencryptTcp)) != 0 ? service.server_tls.verify : Verify::none;
  if (health.host.empty())
    for (const std::string& host : service.hosts)
      if (!host.starts_with('*')) {
        health.host = host;
        break;
      }
  // A preset's check speaks to servers as the preset's mode does; in another mode it does as that one.
  if (draft.health_type_of_preset && (draft.kind & (kSsh | kTcp)) == 0 &&
      (health.type == Type::http || health.type == Type::https))
    health.type = draft.kind == kPassthrough || service.server_tls.enabled ? Type::https : Type::http;
  const bool has_user = health.type == Type::mysql || health.type == Type::postgres;
  const bool has_password = has_user || health.type == Type::redis;
  if (!has_user && draft.health_user_at.line > 0)
    reader.error(draft.health_user_at,
                 format("\"user\" is for checks of type mysql and postgres, not {}", name_of(health.type)));
  if (!has_password && draft.health_password_at.line > 0)
    reader.error(draft.health_password_at,
                 format("\"password\" is for checks of type mysql, postgres and redis, not {}", name_of(health.type)));
  if (!has_user) health.user.clear();
  if (!has_password) health.password.clear();
}

// Whether a server is written with a port depends on what its name stands for.
void finish_servers(Reader& reader, const Listeners& listeners, Draft& draft) {
  Service& service = draft.service;
  if (service.resolve == Resolve::srv) {
    for (const Server& server : service.servers)
      if (server.port != 0 || !server.unix_path.empty() || Address::parse_ip(server.host, 0).ok())
        reader.error(server.at, format("with resolve: srv a server is a name alone, such as _http._tcp.example.tld: its "
                                       "SRV records say which hosts and ports, found {}",
                                       quote(server.text)));
    return;
  }
  if ((draft.kind & (kSsh | kTcp)) != 0) return fill_ports(reader, listeners, service);
  for (const Server& server : service.servers)
    if (server.port == 0 && server.unix_path.empty())
      reader.error(server.at,
                   format("the server {} needs a port, such as {}:{}", server.text,
                          server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]",
                          (draft.kind & (kEdge | kHttp)) != 0 ? 80 : 443));
}

void finish(Reader& reader, Listeners& listeners, Draft& draft) {
  Service& service = draft.service;
  if ((draft.kind & kRedirect) == 0 && !draft.servers_written)
    reader.error(service.at, "\"servers\" is missing: where the traffic goes to");
  if (draft.kind == kRedirect && !draft.to_written)
    reader.error(service.at, "\"redirect\" needs \"to\", such as redirect: { to: \"https://www.example.tld\" }");
  if (draft.kind == kRedirect && service.redirect.keep_path &&
      service.redirect.to.find_first_of("?#") != std::string::npos)
    reader.error(draft.redirect_at,
                 "a URL with \"?\" or \"#\" needs keep_path: false: the client's path would end up behind it");
  if (draft.client_certificates_at.line > 0 && service.client_certificates.ca.empty())
    reader.error(draft.client_certificates_at,
                 "client_certificates needs \"ca\": who signed the clients' certificates");
  if (service.mode == Mode::http && service.server_tls.enabled) {
    if (draft.server_protocol_at.line > 0)
      reader.error(draft.server_protocol_at,
                   "\"server_protocol\" is for servers without TLS; with \"server_tls\" its \"protocol\" counts");
    service.server_protocol = HttpProtocol::http1;  // of defaults: passed over
  }
  resolve_listeners(reader, listeners, draft);
  finish_servers(reader, listeners, draft);
  if (service.hosts.empty()) {
    service.hosts = {"*"};
    service.host_positions = {service.at};
  }
  if (service.paths.empty()) service.paths = {"/"};
  if (service.hosts.size() * service.paths.size() > kMostRoutes)
    reader.error(service.at, format("more than {} combinations of host and path", kMostRoutes));
  if (service.mode == Mode::reencrypt) service.server_tls.enabled = true;
  finish_health(reader, draft);
}

// False if no name can be told; a fault was reported then.
bool read_name(Reader& reader, const YamlNode& node, const std::string& default_name, std::string& out) {
  out = default_name;
  const YamlNode* name = value_of(node.entries, "name");
  if (name == nullptr) {
    if (default_name.empty())
      reader.error(node, "in a file with several services each needs a \"name\"");
    else if (!is_plain_name(default_name))
      reader.error(
          node, format("{} cannot be the name of a service; write \"name\", or rename the file", quote(default_name)));
    return !default_name.empty();
  }
  const auto written = reader.text(*name);
  if (!written) return false;
  if (!is_plain_name(*written)) {
    reader.error(*name, format("the name of a service is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found {}",
                               quote(*written)));
    return false;
  }
  out = *written;
  return true;
}

// What a service inherits, the nearest first.
using Inherited = std::array<std::vector<YamlNode::Entry>, 2>;

const YamlNode* inherited_value(const Inherited& inherited, std::string_view key) {
  for (const std::vector<YamlNode::Entry>& entries : inherited)
    if (const YamlNode* value = value_of(entries, key)) return value;
  return nullptr;
}

// One of several words, the service's own or what it inherits; of the latter the faults are not its own.
template <class E, size_t N>
std::optional<E> read_word(Reader& reader, const std::vector<YamlNode::Entry>& own, const Inherited& inherited,
                           std::string_view key, const Word<E> (&words)[N]) {
  if (const YamlNode* value = value_of(own, key)) return reader.word(*value, key, words);
  const YamlNode* value = inherited_value(inherited, key);
  if (value == nullptr) return std::nullopt;
  const bool muted = reader.muted();
  reader.set_muted(true);
  const auto word = reader.word(*value, key, words);
  reader.set_muted(muted);
  return word;
}

const Preset* read_preset(Reader& reader, const YamlNode& node) {
  const auto name = reader.text(node);
  if (!name) return nullptr;
  const Preset* preset = find_preset(*name);
  if (preset == nullptr) reader.error(node, unknown_preset(*name));
  return preset;
}

}  // namespace

ParsedService parse_service(Reader& reader, Listeners& listeners, const std::string& certificates,
                            const YamlNode* defaults, const YamlNode& node, const std::string& default_name) {
  ParsedService out;
  Draft draft;
  Service& service = draft.service;
  service.at = node.position();
  reader.begin(default_name);
  out.named = read_name(reader, node, default_name, service.name);
  const size_t errors_of_name = reader.errors();
  if (!node.is_mapping()) {
    static_cast<void>(reader.entries(node, "a service"));
    out.faulty = true;
    return out;
  }
  reader.begin(service.name);
  const std::vector<YamlNode::Entry> own = reader.entries(node, "a service");
  const YamlNode* wanted = value_of(own, "preset");
  const Preset* preset = wanted != nullptr ? read_preset(reader, *wanted) : nullptr;
  Inherited inherited;
  auto& [of_preset, of_defaults] = inherited;
  reader.set_muted(true);
  if (preset != nullptr) of_preset = reader.entries(values_of(*preset), "a preset");
  if (defaults != nullptr) of_defaults = reader.entries(*defaults, "defaults");
  reader.set_muted(false);
  if (preset != nullptr) service.preset = preset->name;

  if (const auto mode = read_word(reader, own, inherited, "mode", kModes)) {
    service.mode = *mode;
    if (*mode == Mode::edge || *mode == Mode::reencrypt)
      service.protocol_tcp = read_word(reader, own, inherited, "protocol", kProtocols).value_or(false);
    draft.kind = kind_of(*mode, service.protocol_tcp);
  } else if (value_of(own, "mode") == nullptr && (wanted == nullptr || preset != nullptr)) {
    reader.error(service.at, "\"mode\" is missing; expected passthrough, edge, reencrypt, http, redirect, ssh or tcp");
  }

  const size_t before = reader.errors();
  reader.set_muted(true);
  draft.from = Draft::From::defaults;
  read_keys(reader, certificates, draft, of_defaults);
  draft.from = Draft::From::preset;
  read_keys(reader, certificates, draft, of_preset);
  draft.from = Draft::From::own;
  reader.set_muted(false);
  const size_t passed_over = reader.errors() - before;
  read_keys(reader, certificates, draft, own);
  finish(reader, listeners, draft);
  out.faulty = errors_of_name + reader.errors() - passed_over > 0;
  service.fingerprint = fingerprint_of(service);
  out.service = std::move(service);
  return out;
}

Timeouts check_defaults(Reader& reader, Listeners& listeners, const std::string& certificates,
                        const YamlNode& defaults) {
  std::vector<YamlNode::Entry> entries = reader.entries(defaults, "defaults");
  std::erase_if(entries, [&](const YamlNode::Entry& entry) {
    const ServiceParts::Key* key = find_key(entry.key->value);
    if (key == nullptr || key->in_defaults) return false;
    reader.error(*entry.key, format("{} is not allowed in defaults: it is a service's own", quote(key->name)));
    return true;
  });
  Draft draft;
  read_keys(reader, certificates, draft, entries);
  if (const YamlNode* mode = value_of(entries, "mode")) static_cast<void>(reader.word(*mode, "mode", kModes));
  if (const YamlNode* protocol = value_of(entries, "protocol"))
    static_cast<void>(reader.word(*protocol, "protocol", kProtocols));
  for (const Draft::Listen& listen : draft.listen)
    if (!listen.name.empty() && listeners.find(listen.name) == nullptr)
      reader.error(listen.at, listeners.unknown(listen.name));
  return draft.service.timeouts;
}

}  // namespace sallyport::config
