#include "config/presets.h"

#include <set>

#include "catch.h"
#include "config/values.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

using Names = std::vector<std::string>;

// A service that is its preset, and what it cannot do without.
std::string with_preset(std::string_view name, const std::string& more = {}) {
  return "preset: " + std::string(name) + "\nservers: [\"10.0.0.5:1234\"]\n" + more;
}

Service loaded(const std::string& text, const std::string& gateway = {}) {
  const Config config = Memory{{"gateway.yaml", gateway}, {"conf.d/x.yaml", text}}.load();
  CAPTURE(text);
  CHECK(texts(config) == "");
  REQUIRE(config.services.size() == 1);
  return config.services[0];
}

TEST_CASE("presets: each stands for what its text says, as if the user had written it") {
  CHECK(presets().size() == 8);
  std::set<std::string_view> seen;
  for (const Preset& preset : presets()) {
    CAPTURE(preset.name);
    const Service by_name = loaded(with_preset(preset.name));
    const Service by_hand = loaded(std::string(preset.yaml) + "servers: [\"10.0.0.5:1234\"]\n");
    CHECK(by_name.fingerprint == by_hand.fingerprint);
    CHECK(by_name.preset == preset.name);
    CHECK(by_hand.preset.empty());
    CHECK(by_name.health.checks());
    CHECK(find_preset(preset.name) == &preset);
    CHECK(is_plain_name(preset.name));
    CHECK(seen.insert(preset.name).second);
    CHECK(preset.summary.size() < 80);
    CHECK(preset.yaml.ends_with('\n'));
    CHECK(preset.yaml.starts_with("# "));
  }
  CHECK(std::is_sorted(presets().begin(), presets().end(),
                       [](const Preset& a, const Preset& b) { return a.name < b.name; }));
}

TEST_CASE("presets: what matters about each server") {
  using Type = Health::Type;
  const struct {
    const char* name;
    Mode mode;
    Type type;
    const char* path;
    Milliseconds tunnel;
  } rows[] = {
      {"gitea", Mode::edge, Type::http, "/api/healthz", std::chrono::hours(1)},
      {"home-assistant", Mode::edge, Type::http, "/manifest.json", std::chrono::hours(24)},
      {"immich", Mode::edge, Type::http, "/api/server/ping", std::chrono::hours(1)},
      {"kubernetes-api", Mode::passthrough, Type::https, "/readyz", std::chrono::hours(24)},
      {"nextcloud", Mode::edge, Type::http, "/status.php", std::chrono::hours(1)},
      {"proxmox", Mode::passthrough, Type::https, "/", std::chrono::hours(24)},
      {"traefik", Mode::passthrough, Type::tcp, "/", std::chrono::hours(1)},
      {"vault", Mode::passthrough, Type::https, "/v1/sys/health", std::chrono::hours(1)},
  };
  CHECK(std::size(rows) == presets().size());
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const Service s = loaded(with_preset(row.name));
    CHECK(s.mode == row.mode);
    CHECK(s.health.type == row.type);
    CHECK(s.health.path == row.path);
    CHECK(s.health.verify == Verify::none);
    CHECK(s.timeouts.tunnel == row.tunnel);
  }
  const Service proxmox = loaded(with_preset("proxmox"));
  CHECK(proxmox.balance == Balance::least_connections);
  CHECK(proxmox.sticky.by == Sticky::By::source);
  CHECK(proxmox.sticky.expire == std::chrono::hours(2));
  CHECK(loaded(with_preset("traefik")).proxy_protocol == ProxyProtocol::v2);
  CHECK(loaded(with_preset("nextcloud")).response_headers.remove == Names{"Server", "X-Powered-By"});
  using Ranges = std::vector<std::pair<uint16_t, uint16_t>>;
  CHECK(loaded(with_preset("vault")).health.expect == Ranges{{200, 200}, {429, 429}, {473, 473}});
  CHECK(loaded(with_preset("kubernetes-api")).health.expect == Ranges{{200, 200}, {401, 401}, {403, 403}});
}

TEST_CASE("presets: above defaults and below the service's own keys, mappings merged, lists replaced") {
  const char* defaults =
      "defaults:\n  mode: edge\n  balance: random\n  retries: 7\n  timeouts: { connect: 9s, handshake: 8s }\n"
      "  health: { interval: 20s, fall: 9 }\n";
  const Service s = loaded(with_preset("vault",
                                       "timeouts: { tunnel: 5h }\nhealth: { expect: [200], rise: 4 }\n"
                                       "hosts: [vault.example.tld]\n"),
                           defaults);
  CHECK(s.mode == Mode::passthrough);
  CHECK(s.balance == Balance::random);  // the preset says nothing of it
  CHECK(s.retries == 7);
  CHECK(s.timeouts.connect == std::chrono::seconds(2));
  CHECK(s.timeouts.handshake == std::chrono::seconds(8));
  CHECK(s.timeouts.tunnel == std::chrono::hours(5));
  CHECK(s.health.type == Health::Type::https);
  CHECK(s.health.path == "/v1/sys/health");
  CHECK(s.health.expect == std::vector<std::pair<uint16_t, uint16_t>>{{200, 200}});
  CHECK(s.health.interval == std::chrono::seconds(20));
  CHECK(s.health.fall == 9);
  CHECK(s.health.rise == 4);
  CHECK(s.health.host == "vault.example.tld");

  const Service off = loaded(with_preset("proxmox", "sticky: off\nhealth: off\nbalance: random\n"), defaults);
  CHECK(off.sticky.by == Sticky::By::nothing);
  CHECK(off.health.type == Health::Type::off);
  CHECK(off.balance == Balance::random);
  const Service longer = loaded(with_preset("proxmox", "sticky: { expire: 12h }\n"));
  CHECK(longer.sticky.by == Sticky::By::source);
  CHECK(longer.sticky.expire == std::chrono::hours(12));
  const Service kept = loaded(with_preset("nextcloud", "headers: { response: { remove: [] } }\n"));
  CHECK(kept.response_headers.remove.empty());
}

TEST_CASE("presets: in another mode what means nothing is passed over, and the check speaks as the mode does") {
  const struct {
    const char* name;
    const char* more;
    Health::Type type;
    Verify verify;
  } rows[] = {
      {"nextcloud", "mode: reencrypt\n", Health::Type::https, Verify::required},
      {"nextcloud", "mode: reencrypt\nserver_tls: { verify: none }\n", Health::Type::https, Verify::none},
      {"nextcloud", "mode: passthrough\n", Health::Type::https, Verify::none},
      {"nextcloud", "mode: http\n", Health::Type::http, Verify::none},
      {"nextcloud", "mode: http\nserver_tls: {}\n", Health::Type::https, Verify::none},
      {"nextcloud", "mode: tcp\nlisten: \":81\"\n", Health::Type::http, Verify::none},
      {"proxmox", "mode: reencrypt\nserver_tls: { ca: pve-root-ca.pem }\n", Health::Type::https, Verify::required},
      {"kubernetes-api", "mode: tcp\nlisten: \":6443\"\n", Health::Type::https, Verify::none},
      {"vault", "mode: edge\n", Health::Type::http, Verify::none},
      {"vault", "mode: reencrypt\nhealth: http\n", Health::Type::http, Verify::required},  // as the user says
      {"vault", "mode: reencrypt\nhealth: { path: / }\n", Health::Type::https, Verify::required},
      {"traefik", "mode: edge\n", Health::Type::tcp, Verify::none},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name, row.more);
    const Service s = loaded(with_preset(row.name, row.more));
    CHECK(s.health.type == row.type);
    CHECK(s.health.verify == row.verify);
  }
  CHECK(loaded(with_preset("nextcloud", "mode: passthrough\n")).response_headers.empty());
  CHECK(loaded(with_preset("nextcloud", "mode: passthrough\n")).timeouts.server == Timeouts().server);
  CHECK(loaded(with_preset("nextcloud", "mode: reencrypt\n")).timeouts.server == std::chrono::hours(1));
  // A preset holds for what its service is, not for what `defaults` would make of it.
  CHECK(loaded(with_preset("nextcloud"), "defaults: { mode: passthrough }\n").mode == Mode::edge);
}

TEST_CASE("presets: one that there is not is told once, and so are own keys that mean nothing") {
  const struct {
    const char* text;
    const char* expected;
  } rows[] = {
      {"preset: proxmx\nservers: [a:1]\n",
       "conf.d/x.yaml:1:9: error: unknown preset \"proxmx\"; did you mean \"proxmox\"?\n"
       "    preset: proxmx\n            ^\n"},
      {"servers: [a:1]\npreset: wordpress\n",
       "conf.d/x.yaml:2:9: error: unknown preset \"wordpress\"; there are gitea, home-assistant, immich, "
       "kubernetes-api, nextcloud, proxmox, traefik, vault\n    preset: wordpress\n            ^\n"},
      {"preset: [vault]\nservers: [a:1]\n",
       "conf.d/x.yaml:1:9: error: expected a value, found a list\n    preset: [vault]\n            ^\n"},
      {"preset: proxmox\nservers: [a:1]\npaths: [/x]\n",
       "conf.d/x.yaml:3:1: error: \"paths\" means nothing in mode passthrough: TLS is not decrypted\n"
       "    paths: [/x]\n    ^\n"},
      {"preset: proxmox\n",
       "conf.d/x.yaml:1:1: error: \"servers\" is missing: where the traffic goes to\n    preset: proxmox\n    ^\n"},
  };
  for (const auto& row : rows) {
    const Config config = Memory{{"conf.d/x.yaml", row.text}}.load();
    CHECK(texts(config) == row.expected);
    CHECK(config.left_out == Names{"x"});
  }
  CHECK(find_preset("") == nullptr);
  CHECK(loaded("preset: \"${WHICH:-vault}\"\nservers: [a:1]\n").preset == "vault");
}

}  // namespace
}  // namespace sallyport::config
