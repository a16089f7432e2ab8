#include "config/presets.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/text.h"

namespace sallyport::config {
namespace {

constexpr std::array kPresets = {
    Preset{"gitea", "Gitea and Forgejo: the web interface, clone and push over HTTPS",
           R"(# Gitea and Forgejo over HTTP. You write: hosts, and the server with its port, 3000.
# Git over SSH is a service of its own: mode: ssh.
mode: edge
health:
  type: http
  path: /api/healthz         # looks at its database and cache, too
  expect: 200
  interval: 5s
timeouts:
  client: 5m                 # git may pause in a push
  server: 10m                # a large push is unpacked before the answer
)"},

    Preset{"home-assistant", "Home Assistant: dashboards, the app, cameras, terminals",
           R"(# Home Assistant. You write: hosts, and the server with its port, 8123.
# It answers 400 until it trusts the gateway. In its configuration.yaml:
#   http: { use_x_forwarded_for: true, trusted_proxies: [10.0.0.6] }    (the gateway's address)
mode: edge
health:
  type: http
  path: /manifest.json       # small, and asks for no login
  expect: 200
  interval: 5s
timeouts:
  client: 5m
  server: 10m                # backups are made and restored while the browser waits
  tunnel: 24h                # WebSockets of dashboards and terminals may be silent for long
)"},

    Preset{"immich", "Immich: photos and videos, uploads of phones",
           R"(# Immich. You write: hosts, and the server with its port, 2283.
# Uploads have no size limit here, and WebSockets go through: nothing to set for either.
mode: edge
health:
  type: http
  path: /api/server/ping
  expect: 200
  interval: 5s
timeouts:
  client: 10m                # phones that upload in the background pause
  server: 10m                # a long video is stored before the answer
)"},

    Preset{"kubernetes-api", "the API of Kubernetes: kubeadm, k3s, RKE2, Talos",
           R"(# The API servers of a cluster. You write: hosts, and the servers with their port, 6443.
# By port instead of by name: also write mode: tcp and listen: ":6443", and no hosts.
mode: passthrough            # client certificates arrive, kubectl exec and watches work
balance: least-connections   # clients keep a connection for days: new ones go where there are few
health:
  type: https                # whose certificate it is does not matter here: it is the cluster's own
  path: /readyz              # fails while a server starts, stops, or has lost etcd
  expect: [200, 401, 403]    # 401 and 403: it does not tell strangers, but it is there (k3s, Talos)
timeouts:
  connect: 2s                # a machine that is off is given up soon
  tunnel: 24h                # watches and kubectl exec may be silent for long
)"},

    Preset{"nextcloud", "Nextcloud: large uploads, sync clients, its own maintenance page",
           R"(# Nextcloud. You write: hosts, and the server with its port.
# In its config.php: trusted_domains, trusted_proxies with the gateway's address, and overwriteprotocol => https.
mode: edge                   # it speaks plain HTTP, as its images do; with TLS: mode: reencrypt, and server_tls
health:
  type: http                 # https where the mode is reencrypt
  path: /status.php          # good in maintenance, too: Nextcloud then tells its users itself
  expect: 200                # 400: the first of hosts is not in trusted_domains
  interval: 10s
timeouts:
  client: 10m                # phones that upload in the background pause
  server: 1h                 # putting the pieces of a large upload together
headers:
  response: { remove: [Server, X-Powered-By] }   # versions are nobody's business
)"},

    Preset{"proxmox", "Proxmox VE: the web interface and consoles, one node or a cluster",
           R"(# Proxmox VE. You write: hosts, and the nodes with their port, 8006 (Proxmox Backup Server: 8007).
mode: passthrough            # it speaks only TLS, with certificates of its own
balance: least-connections   # consoles last: new clients go to the node with the fewest
sticky:
  by: source                 # a console opens on the node that gave out its ticket: a client keeps its node
  expire: 2h                 # as long as a login lasts
health:
  type: https                # the certificate is not verified: the nodes make their own
  path: /                    # the login page: a node that hangs does not get that far
  expect: 200
  interval: 5s
timeouts:
  connect: 2s                # a node that is off is given up soon
  tunnel: 24h                # a console may be silent for a day
)"},

    Preset{"traefik", "Traefik that ends TLS itself, and learns the client's address",
           R"(# Traefik. You write: hosts, and its servers with their port, 443.
# Its entry point must trust the gateway: proxyProtocol: { trustedIPs: ["10.0.0.6/32"] }    (the gateway's address)
mode: passthrough            # it ends TLS, and fetches its certificates
proxy_protocol: v2           # it learns who the client is
balance: least-connections   # browsers keep connections: new ones go where there are few
health:
  type: tcp                  # begins with the PROXY header, as traffic does
  interval: 5s
timeouts:
  connect: 2s                # a host that is off is given up soon
)"},

    Preset{"vault", "Vault and OpenBao: one node, or a cluster with standbys",
           R"(# Vault and OpenBao. You write: hosts, and the servers with their port, 8200.
mode: passthrough            # secrets are not decrypted on the way, and client certificates arrive
health:
  type: https
  path: /v1/sys/health       # asks for no token
  # 200 is the active node; 429 and 473 are standbys, which hand requests on to it. Write [200] if they cannot, or
  # to spare the detour. Out: sealed (503), not set up (501), for disaster recovery (472), cut off from the active
  # one (474).
  expect: [200, 429, 473]
timeouts:
  connect: 2s                # a machine that is off is given up soon
)"},
};

}  // namespace

std::span<const Preset> presets() noexcept { return kPresets; }

const Preset* find_preset(std::string_view name) noexcept {
  const auto found = std::find_if(kPresets.begin(), kPresets.end(), [&](const Preset& p) { return p.name == name; });
  return found == kPresets.end() ? nullptr : &*found;
}

std::string unknown_preset(std::string_view name) {
  std::array<std::string_view, kPresets.size()> names;
  std::transform(kPresets.begin(), kPresets.end(), names.begin(), [](const Preset& p) { return p.name; });
  if (const std::string_view near = nearest_word(name, names); !near.empty())
    return format("unknown preset {}; did you mean {}?", quote(name), quote(near));
  return format("unknown preset {}; there are {}", quote(name), fmt::join(names, ", "));
}

const YamlNode& values_of(const Preset& preset) {
  struct Parsed {
    explicit Parsed(const Preset& of)
        : source("preset " + std::string(of.name), std::string(of.yaml)), yaml(parse_yaml(source)) {}
    Source source;
    std::unique_ptr<Yaml> yaml;
  };
  static const auto kParsed = [] {
    std::array<std::unique_ptr<const Parsed>, kPresets.size()> all;
    std::transform(kPresets.begin(), kPresets.end(), all.begin(),
                   [](const Preset& of) { return std::make_unique<const Parsed>(of); });
    return all;
  }();
  return *kParsed[static_cast<size_t>(&preset - kPresets.data())]->yaml->documents.front();
}

}  // namespace sallyport::config
