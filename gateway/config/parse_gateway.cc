#include "config/parse_gateway.h"

#include <algorithm>

#include "base/address.h"
#include "base/format.h"
#include "config/parse_alerts.h"
#include "config/parse_logs.h"
#include "config/parse_service.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr uint32_t kMostConnections = 10'000'000;
constexpr uint32_t kMostWorkers = 1024;

class GatewayReader {
 public:
  GatewayReader(Reader& reader, Gateway& gateway) : reader_(reader), gateway_(gateway) {}

  void path(const YamlNode& node, std::string& out) {
    const auto written = reader_.text(node);
    if (!written) return;
    if (written->empty()) return reader_.error(node, "expected a path, found nothing");
    out = reader_.absolute(*written);
  }

  // 0 stands for auto.
  void number_or_auto(const YamlNode& node, uint32_t most, uint32_t& out) {
    if (node.is_scalar() && node.tag.empty() && node.value == "auto") {
      out = 0;
      return;
    }
    if (auto number = reader_.number(node, 1, most)) out = *number;
  }

  void certificates(const YamlNode& node) {
    CertificateSettings& to = gateway_.certificates;
    to.at = node.position();
    std::string by_default;
    const auto openssl_list = [this](std::string& out) {
      return [this, &out](const YamlNode& v, const YamlNode&) {
        const auto written = reader_.text(v);
        if (written && (written->empty() || !is_header_value(*written)))
          reader_.error(v, "expected a list of names as OpenSSL takes it");
        else if (written)
          out = *written;
      };
    };
    static constexpr Word<const char*> kVersions[] = {{"1.2", "1.2"}, {"1.3", "1.3"}};
    reader_.fields(node, "certificates",
                   {
                       {"directory", [&](const YamlNode& v, const YamlNode&) { path(v, to.directory); }},
                       {"default",
                        [&](const YamlNode& v, const YamlNode&) {
                          if (auto name = reader_.text(v)) by_default = *name;
                          to.default_at = v.position();
                        }},
                       {"min_version",
                        [&](const YamlNode& v, const YamlNode&) {
                          if (auto version = reader_.word(v, "TLS version", kVersions)) to.min_version = *version;
                        }},
                       {"ciphers", openssl_list(to.ciphers)},
                       {"ciphersuites", openssl_list(to.ciphersuites)},
                       {"groups", openssl_list(to.groups)},
                   });
    if (!by_default.empty()) to.default_certificate = certificate_path(reader_, to.directory, by_default);
  }

  void admin(const YamlNode& node) {
    Admin& to = gateway_.admin;
    to.at = node.position();
    if (is_off(node)) {
      to.bind.clear();
      to.socket.clear();
      return;
    }
    reader_.fields(node, "admin",
                   {
                       {"bind",
                        [&](const YamlNode& v, const YamlNode&) {
                          if (is_off(v))
                            to.bind.clear();
                          else if (auto bind = reader_.value(v, parse_bind))
                            to.bind = bind->text;
                        }},
                       {"socket", [&](const YamlNode& v, const YamlNode&) { socket(v); }},
                       {"token", [&](const YamlNode& v, const YamlNode&) { token(v); }},
                       {"hosts", [&](const YamlNode& v, const YamlNode&) { admin_hosts(v); }},
                   });
  }

  void networks(const YamlNode& node, std::vector<Network>& out) {
    if (auto networks = reader_.values(node, parse_network)) out = std::move(*networks);
  }

 private:
  static bool is_off(const YamlNode& node) { return node.is_scalar() && node.tag.empty() && node.value == "off"; }

  void socket(const YamlNode& node) {
    if (is_off(node)) return gateway_.admin.socket.clear();
    std::string written;
    path(node, written);
    if (written.empty()) return;
    if (auto address = Address::parse("unix:" + written); !address)
      reader_.error(node, format("{} is too long for a unix socket", quote(written)));
    else
      gateway_.admin.socket = std::move(written);
  }

  void token(const YamlNode& node) {
    auto written = reader_.text(node);
    if (!written) return;
    const bool fine =
        !written->empty() && std::all_of(written->begin(), written->end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (fine)
      gateway_.admin.token = std::move(*written);
    else
      reader_.error(node, "a token is one or more visible ASCII characters, without spaces");
  }

  void admin_hosts(const YamlNode& node) {
    if (!reader_.list(node)) return;
    for (const YamlNode* item : node.items) {
      auto host = reader_.value(*item, parse_host);
      if (!host) continue;
      // A pattern would let in names of somebody else's that lead here.
      if (host->find('*') != std::string::npos)
        reader_.error(*item, format("a host of admin is one name, found {}", quote(*host)));
      else
        gateway_.admin.hosts.push_back(std::move(*host));
    }
  }

  Reader& reader_;
  Gateway& gateway_;
};

}  // namespace

GatewayFile parse_gateway(Reader& reader, const Source* source) {
  GatewayFile out;
  Gateway& gateway = out.gateway;
  gateway.services_directory = reader.absolute(gateway.services_directory);
  gateway.certificates.directory = reader.absolute(gateway.certificates.directory);
  gateway.admin.bind = "127.0.0.1:8404";
  gateway.admin.socket = "/run/sallyport/admin.sock";
  if (source == nullptr) return out;

  reader.begin({});
  out.yaml = parse_yaml(*source);
  const YamlNode* root = nullptr;
  if (out.yaml->wrong) reader.error(out.yaml->wrong->at, out.yaml->wrong->message);
  for (const YamlNode* document : out.yaml->documents) {
    if (document->is_null()) continue;
    if (root != nullptr)
      reader.error(*document, "gateway.yaml holds one document; services have files of their own");
    else
      root = document;
  }
  GatewayReader parts(reader, gateway);
  const YamlNode* listeners = nullptr;
  const YamlNode* defaults = nullptr;
  const YamlNode* alerts = nullptr;
  if (root != nullptr) {
    const auto section = [](auto read) {
      return [read](const YamlNode& v, const YamlNode&) {
        if (!v.is_null()) read(v);
      };
    };
    reader.fields(
        *root, "gateway.yaml",
        {
            {"listeners", section([&](const YamlNode& v) { listeners = &v; })},
            {"defaults", section([&](const YamlNode& v) { defaults = &v; })},
            {"certificates", section([&](const YamlNode& v) { parts.certificates(v); })},
            {"services", [&](const YamlNode& v, const YamlNode&) { parts.path(v, gateway.services_directory); }},
            {"state", [&](const YamlNode& v, const YamlNode&) { parts.path(v, gateway.state_directory); }},
            {"workers",
             [&](const YamlNode& v, const YamlNode&) { parts.number_or_auto(v, kMostWorkers, gateway.workers); }},
            {"max_connections",
             [&](const YamlNode& v, const YamlNode&) {
               parts.number_or_auto(v, kMostConnections, gateway.max_connections);
             }},
            {"drain_timeout",
             [&](const YamlNode& v, const YamlNode&) {
               if (auto time = reader.value(v, parse_duration)) gateway.drain_timeout = *time;
             }},
            {"admin", section([&](const YamlNode& v) { parts.admin(v); })},
            {"logs", section([&](const YamlNode& v) { parse_logs(reader, v, gateway.logs); })},
            {"trusted_proxies",
             [&](const YamlNode& v, const YamlNode&) { parts.networks(v, gateway.trusted_proxies); }},
            {"alerts", section([&](const YamlNode& v) { alerts = &v; })},
        });
  }
  // Services name listeners, and certificates are looked up in their folder: both come before the defaults.
  if (listeners != nullptr) out.listeners.read(reader, *listeners);
  if (alerts != nullptr) gateway.alerts = read_alerts(reader, gateway.certificates.directory, *alerts);
  if (defaults != nullptr) {
    gateway.default_timeouts = check_defaults(reader, out.listeners, gateway.certificates.directory, *defaults);
    if (defaults->is_mapping()) out.defaults = defaults;
  }
  out.faulty = reader.errors() > 0;
  return out;
}

}  // namespace sallyport::config
