#include "config/parse_service.h"

#include <algorithm>

#include "base/format.h"
#include "config/fingerprint.h"
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
      if (!draft.from_defaults)
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
    const Position& at = listen.from_defaults ? service.at : listen.at;
    if (!listen.name.empty()) {
      const Listener* known = listeners.find(listen.name);
      if (known == nullptr) {
        reader.set_muted(listen.from_defaults);  // a fault of gateway.yaml, told there
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
  if ((draft.kind & (kSsh | kTcp)) != 0) fill_ports(reader, listeners, service);
  if (service.hosts.empty()) {
    service.hosts = {"*"};
    service.host_positions = {service.at};
  }
  if (service.paths.empty()) service.paths = {"/"};
  if (service.hosts.size() * service.paths.size() > kMostRoutes)
    reader.error(service.at, format("more than {} combinations of host and path", kMostRoutes));
  if (service.mode == Mode::reencrypt) service.server_tls.enabled = true;
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

std::optional<Mode> read_mode(Reader& reader, const YamlNode* own, const YamlNode* defaults, const Position& at) {
  if (own != nullptr) return reader.word(*own, "mode", kModes);
  if (defaults != nullptr) {
    reader.set_muted(true);
    const auto mode = reader.word(*defaults, "mode", kModes);
    reader.set_muted(false);
    if (mode) return mode;
  }
  reader.error(at, "\"mode\" is missing; expected passthrough, edge, reencrypt, http, redirect, ssh or tcp");
  return std::nullopt;
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
  reader.set_muted(true);
  std::vector<YamlNode::Entry> base;
  if (defaults != nullptr) base = reader.entries(*defaults, "defaults");
  reader.set_muted(false);
  const auto mode = read_mode(reader, value_of(own, "mode"), value_of(base, "mode"), service.at);
  if (mode) {
    service.mode = *mode;
    const YamlNode* protocol = value_of(own, "protocol");
    if (*mode == Mode::edge || *mode == Mode::reencrypt) {
      const YamlNode* inherited = value_of(base, "protocol");
      reader.set_muted(protocol == nullptr);
      if (protocol == nullptr) protocol = inherited;
      if (protocol != nullptr) service.protocol_tcp = reader.word(*protocol, "protocol", kProtocols).value_or(false);
      reader.set_muted(false);
    }
    draft.kind = kind_of(*mode, service.protocol_tcp);
  }

  draft.from_defaults = true;
  reader.set_muted(true);
  const size_t before = reader.errors();
  read_keys(reader, certificates, draft, base);
  const size_t of_defaults = reader.errors() - before;
  reader.set_muted(false);
  draft.from_defaults = false;
  read_keys(reader, certificates, draft, own);
  finish(reader, listeners, draft);
  out.faulty = errors_of_name + reader.errors() - of_defaults > 0;
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
