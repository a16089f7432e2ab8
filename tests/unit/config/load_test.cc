#include "config/load.h"

#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("load: the contract's page of faults comes out as it is shown there") {
  const Memory files{
      {"conf.d/a.yaml", "name: gitea\nmode: passthrough\nhosts: [git.example.tld]\nservers: [10.0.0.5:443]\n"},
      {"conf.d/b.yaml", "mode: passthrough\nhosts: [git.example.tld]\nservers: [10.0.0.6:443]\n"},
      {"conf.d/vault.yaml", "hosts: [vault.example.tld]\nservers: [10.0.0.9:8200]\nmode: passthru\n"}};
  const Config config = files.load();
  CHECK(
      texts(config) ==
      "conf.d/b.yaml:2:9: error: host \"git.example.tld\" is already served by service \"gitea\" (conf.d/a.yaml:3:9)\n"
      "conf.d/vault.yaml:3:7: error: unknown mode \"passthru\"; did you mean \"passthrough\"?\n"
      "    mode: passthru\n"
      "          ^\n");
  CHECK(names(config.services) == Names{"gitea"});
  CHECK(config.left_out == Names{"b", "vault"});
  CHECK_FALSE(config.gateway_faulty);
}

TEST_CASE("load: an empty folder is a gateway with every default") {
  const Config config = Memory().load();
  CHECK(texts(config) == "");
  CHECK(config.directory == "/etc/sallyport");
  CHECK(config.gateway.services_directory == "/etc/sallyport/conf.d");
  CHECK(config.gateway.certificates.directory == "/etc/sallyport/certs");
  CHECK(config.gateway.admin.bind == "127.0.0.1:8404");
  CHECK(config.gateway.admin.socket == "/run/sallyport/admin.sock");
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0].name == "http");
  CHECK(config.listeners[0].binds.at(0).text == ":80");
  CHECK(config.listeners[1].name == "https");
  CHECK(config.listeners[1].binds.at(0).any);
  CHECK(config.listeners[1].binds.at(0).address.port() == 443);
}

TEST_CASE("load: a service says everything it can, and nothing is lost") {
  const Config config = Memory{{"conf.d/cloud.yaml", R"(
mode: reencrypt
listen: [https, ":8443"]
hosts: [Cloud.Example.tld, "*.example.tld"]
paths: [/, /api/]
servers:
  - 10.0.0.14:443
  - { address: "NAS.lan:443", name: nas, weight: 50 }
  - unix:/run/app.sock
plain_http: refuse
server_tls: { verify: none, name: Cloud.Internal., client_certificate: gw.pem, protocol: http/1.1 }
balance: source-hash
slow_start: 20s
sticky: { by: cookie, name: NODE }
health: { type: https, path: /up, expect: [200, 401-403], passive: { failures: 2 }, on_down: close }
queue: { size: 7, timeout: 3s }
retries: 1
retry_on: [connect, 503]
proxy_protocol: v2
transparent: true
timeouts: { connect: 1s, handshake: 2s, request: 3s, keep_alive: 4s, client: 5s, server: 0, tunnel: 7d }
headers:
  request: { set: { X-Env: lab }, add: { X-B: "1" }, remove: [X-Debug] }
  response: { set: { X-C: c }, remove: [Server, Via] }
access: { allow: [10.0.0.0/8], deny: [10.0.0.7, "fd00::/8"] }
certificate: tls/cloud.pem
client_certificates: { ca: clients.pem, verify: optional, crl: /crl.pem }
)"}}.load();
  CHECK(texts(config) == "");
  REQUIRE(config.services.size() == 1);
  const Service& s = config.services[0];
  CHECK(s.name == "cloud");
  CHECK(s.mode == Mode::reencrypt);
  CHECK(s.listeners == Names{"https", ":8443"});
  CHECK(s.hosts == Names{"cloud.example.tld", "*.example.tld"});
  CHECK(s.host_positions[1].line == 4);
  CHECK(s.host_positions[1].column == 28);
  CHECK(s.paths == Names{"/", "/api"});
  REQUIRE(s.servers.size() == 3);
  CHECK(s.servers[0].name == "10.0.0.14:443");
  CHECK(s.servers[1].host == "nas.lan");
  CHECK(s.servers[1].name == "nas");
  CHECK(s.servers[1].weight == 50);
  CHECK(s.servers[2].unix_path == "/run/app.sock");
  CHECK(s.plain_http == PlainHttp::refuse);
  CHECK(s.server_tls.enabled);
  CHECK(s.server_tls.verify == Verify::none);
  CHECK(s.server_tls.name == "cloud.internal");
  CHECK(s.server_tls.client_certificate == "/etc/sallyport/certs/gw.pem");
  CHECK(s.server_tls.protocol == HttpProtocol::http1);
  CHECK(s.balance == Balance::source_hash);
  CHECK(s.slow_start == std::chrono::seconds(20));
  CHECK(s.sticky.cookie == "NODE");
  CHECK(s.health.path == "/up");
  CHECK(s.health.host == "cloud.example.tld");
  CHECK(s.health.expect == std::vector<std::pair<uint16_t, uint16_t>>{{200, 200}, {401, 403}});
  CHECK(s.health.passive_failures == 2);
  CHECK(s.health.close_on_down);
  CHECK(s.queue.size == 7);
  CHECK(s.retries == 1);
  CHECK(s.retry_on.statuses == std::vector<uint16_t>{503});
  CHECK(s.transparent);
  CHECK(s.proxy_protocol == ProxyProtocol::v2);
  CHECK(s.timeouts == Timeouts{Milliseconds(1000), Milliseconds(2000), Milliseconds(3000), Milliseconds(4000),
                               Milliseconds(5000), Milliseconds(0), std::chrono::hours(7 * 24)});
  CHECK(s.request_headers.set == std::vector<std::pair<std::string, std::string>>{{"X-Env", "lab"}});
  CHECK(s.request_headers.add == std::vector<std::pair<std::string, std::string>>{{"X-B", "1"}});
  CHECK(s.request_headers.remove == Names{"X-Debug"});
  CHECK(s.response_headers.remove == Names{"Server", "Via"});
  REQUIRE(s.access.deny.size() == 2);
  CHECK(s.access.deny[1].text() == "fd00::/8");
  CHECK(s.certificate == "/etc/sallyport/tls/cloud.pem");
  CHECK(s.client_certificates.ca == "/etc/sallyport/certs/clients.pem");
  CHECK(s.client_certificates.verify == Verify::optional);
  CHECK(s.client_certificates.crl == "/crl.pem");
}

TEST_CASE("load: the gateway says everything it can") {
  const Config config = Memory{{"gateway.yaml", R"(
listeners:
  ssh: off
  http: { bind: "0.0.0.0:80", public_port: 8080 }
  lan: { bind: ["10.0.0.6:8443", "[fd00::6]:8443"], accept_proxy: [10.0.0.0/8], max_connections: 4096 }
certificates:
  directory: tls
  default: wildcard.pem
  min_version: 1.3
  ciphers: ECDHE+AESGCM
  ciphersuites: TLS_AES_256_GCM_SHA384
  groups: X25519
services: services.d
state: state
workers: 4
max_connections: 1000
drain_timeout: 5m
admin: { bind: ":8404", socket: run/admin.sock, token: "${TOKEN}" }
logs: { format: json, access: false, level: warn }
trusted_proxies: [10.0.0.1]
)"},
                               {"services.d/x.yaml", "mode: tcp\nlisten: lan\nservers: [a]\n"}}
                            .set("TOKEN", "t0ken")
                            .load();
  CHECK(texts(config) == "");
  const Gateway& g = config.gateway;
  CHECK(g.certificates.directory == "/etc/sallyport/tls");
  CHECK(g.certificates.default_certificate == "/etc/sallyport/tls/wildcard.pem");
  CHECK(g.certificates.min_version == "1.3");
  CHECK(g.certificates.ciphers == "ECDHE+AESGCM");
  CHECK(g.certificates.ciphersuites == "TLS_AES_256_GCM_SHA384");
  CHECK(g.certificates.groups == "X25519");
  CHECK(g.services_directory == "/etc/sallyport/services.d");
  CHECK(g.state_directory == "/etc/sallyport/state");
  CHECK(g.workers == 4);
  CHECK(g.max_connections == 1000);
  CHECK(g.drain_timeout == std::chrono::minutes(5));
  CHECK(g.admin.bind == ":8404");
  CHECK(g.admin.socket == "/etc/sallyport/run/admin.sock");
  CHECK(g.admin.token == "t0ken");
  CHECK(g.logs.format == LogFormat::json);
  CHECK_FALSE(g.logs.access);
  CHECK(g.logs.level == LogLevel::warn);
  REQUIRE(g.trusted_proxies.size() == 1);
  REQUIRE(config.listeners.size() == 3);
  CHECK(config.listeners[0].binds.at(0).text == "0.0.0.0:80");
  CHECK(config.listeners[0].public_port == 8080);
  CHECK(config.listener("ssh") == nullptr);
  CHECK(config.listener("lan")->binds.size() == 2);
  CHECK(config.listener("lan")->accept_proxy.size() == 1);
  CHECK(config.listener("lan")->max_connections == 4096);
  CHECK(find_service(config, "x")->servers[0].port == 8443);

  const Config off = Memory{{"gateway.yaml", "admin: off\n"}}.load();
  CHECK(off.gateway.admin.bind.empty());
  CHECK(off.gateway.admin.socket.empty());
  const Config half = Memory{{"gateway.yaml", "admin: { bind: off }\n"}}.load();
  CHECK(half.gateway.admin.bind.empty());
  CHECK(half.gateway.admin.socket == "/run/sallyport/admin.sock");
}

TEST_CASE("listeners: what HTTP/2 may cost, each by itself") {
  const Config config = Memory{{"gateway.yaml", R"(
listeners:
  http: { http2: off }
  https: { http2: on }
  lan:
    bind: ":8443"
    http2:
      max_concurrent_streams: 250
      max_header_list: 64KiB
      max_headers: 500
      stream_window: 512KiB
      connection_window: 8MiB
      max_resets: 1000
      max_control_frames: "${FRAMES}"
  wide: { bind: ":8444", http2: { stream_window: 4MiB } }
)"},
                               {"conf.d/x.yaml", "mode: edge\nlisten: [lan, wide, \":9443\"]\nservers: [a:80]\n"}}
                            .set("FRAMES", "5000")
                            .load();
  CHECK(texts(config) == "");
  Http2 off;
  off.enabled = false;
  CHECK(config.listener("http")->http2 == off);
  CHECK(config.listener("https")->http2 == Http2());
  CHECK(config.listener("lan")->http2 == Http2{true, 250, 65536, 500, 512 * 1024, 8 * 1024 * 1024, 1000, 5000});
  // A wider stream takes the connection with it, unless that is written too.
  CHECK(config.listener("wide")->http2.stream_window == 4 * 1024 * 1024);
  CHECK(config.listener("wide")->http2.connection_window == 4 * 1024 * 1024);
  CHECK(config.listener(":9443")->http2 == Http2());
  CHECK(Http2().enabled);
}

TEST_CASE("protocols with servers: by server_tls where there is TLS, by server_protocol where there is none") {
  const struct {
    const char* gateway;
    const char* service;
    HttpProtocol tls, plain;
  } rows[] = {
      {"", "mode: edge\nservers: [a:80]\n", HttpProtocol::auto_, HttpProtocol::http1},
      {"", "mode: edge\nservers: [a:80]\nserver_protocol: h2\n", HttpProtocol::auto_, HttpProtocol::h2},
      {"", "mode: http\nservers: [a:80]\nserver_protocol: h2\n", HttpProtocol::auto_, HttpProtocol::h2},
      {"", "mode: reencrypt\nservers: [a:443]\nserver_tls: { protocol: h2 }\n", HttpProtocol::h2, HttpProtocol::http1},
      {"", "mode: http\nservers: [a:443]\nserver_tls: { protocol: http/1.1 }\n", HttpProtocol::http1,
       HttpProtocol::http1},
      {"defaults: { server_protocol: h2 }\n", "mode: edge\nservers: [a:80]\n", HttpProtocol::auto_, HttpProtocol::h2},
      {"defaults: { server_protocol: h2 }\n", "mode: reencrypt\nservers: [a:443]\n", HttpProtocol::auto_,
       HttpProtocol::http1},
      {"defaults: { server_protocol: h2 }\n", "mode: http\nservers: [a:443]\nserver_tls: {}\n", HttpProtocol::auto_,
       HttpProtocol::http1},
      {"defaults: { server_protocol: h2, server_tls: { protocol: h2 } }\n", "mode: tcp\nlisten: \":5\"\nservers: [a]\n",
       HttpProtocol::auto_, HttpProtocol::http1},
      {"defaults: { server_tls: { protocol: http/1.1 } }\n", "mode: reencrypt\nservers: [a:443]\n", HttpProtocol::http1,
       HttpProtocol::http1},
      {"defaults: { server_tls: { protocol: http/1.1 } }\n",
       "mode: reencrypt\nservers: [a:443]\nserver_tls: { protocol: auto }\n", HttpProtocol::auto_, HttpProtocol::http1},
  };
  for (const auto& row : rows) {
    CAPTURE(row.gateway, row.service);
    const Config config = Memory{{"gateway.yaml", row.gateway}, {"conf.d/x.yaml", row.service}}.load();
    CHECK(texts(config) == "");
    REQUIRE(config.services.size() == 1);
    CHECK(config.services[0].server_tls.protocol == row.tls);
    CHECK(config.services[0].server_protocol == row.plain);
  }
}

TEST_CASE("defaults: below the service's keys, mappings merged, lists replaced, the rest passed over") {
  const Config config =
      Memory{{"gateway.yaml", R"(
defaults:
  mode: edge
  retries: 7
  timeouts: { connect: 9s, request: 8s }
  access: { allow: [10.0.0.0/8], deny: [10.0.0.1] }
  headers: { request: { set: { X-A: default, X-B: default }, remove: [X-R] } }
  server_tls: { verify: none }
  client_certificates: { verify: optional }
)"},
             {"conf.d/a.yaml",
              "hosts: [a.b]\nservers: [c:80]\ntimeouts: { connect: 1s }\naccess: { allow: [192.0.2.0/24] }\n"
              "headers: { request: { set: { x-a: own }, remove: [] } }\n"},
             {"conf.d/b.yaml", "mode: ssh\nservers: [c]\n"},
             {"conf.d/c.yaml",
              "mode: reencrypt\nhosts: [c.b]\nservers: [c:443]\nserver_tls: { name: x }\n"
              "client_certificates: { ca: y.pem }\n"}}
          .load();
  CHECK(texts(config) == "");
  CHECK(config.gateway.default_timeouts.connect == std::chrono::seconds(9));
  CHECK(config.gateway.default_timeouts.tunnel == Timeouts().tunnel);
  const Service* a = find_service(config, "a");
  REQUIRE(a != nullptr);
  CHECK(a->mode == Mode::edge);
  CHECK(a->retries == 7);
  CHECK(a->timeouts.connect == std::chrono::seconds(1));
  CHECK(a->timeouts.request == std::chrono::seconds(8));
  REQUIRE(a->access.allow.size() == 1);
  CHECK(a->access.allow[0].text() == "192.0.2.0/24");
  CHECK(a->access.deny.size() == 1);
  CHECK(a->request_headers.set == std::vector<std::pair<std::string, std::string>>{{"X-A", "own"}, {"X-B", "default"}});
  CHECK(a->request_headers.remove.empty());
  CHECK_FALSE(a->server_tls.enabled);
  CHECK_FALSE(a->client_certificates.enabled());
  const Service* b = find_service(config, "b");
  REQUIRE(b != nullptr);
  CHECK(b->retries == 7);
  CHECK_FALSE(b->server_tls.enabled);  // defaults say how, a tcp or ssh service says whether
  CHECK(b->request_headers.empty());
  CHECK(b->timeouts.request == Timeouts().request);
  const Service* c = find_service(config, "c");
  REQUIRE(c != nullptr);
  CHECK(c->server_tls.verify == Verify::none);
  CHECK(c->server_tls.name == "x");
  CHECK(c->client_certificates.verify == Verify::optional);
}

TEST_CASE("files: names, order, several services, and what is passed over") {
  const char* edge = "mode: edge\nservers: [c:80]\nhosts: [HOST]\n";
  const auto with = [&](std::string host) {
    std::string text = edge;
    return text.replace(text.find("HOST"), 4, host);
  };
  const Config config = Memory{
      {"conf.d/b.yaml", with("b")},
      {"conf.d/kubernetes/api.v1.yaml", with("k")},
      {"conf.d/a.yaml", with("a")},
      {"conf.d/empty.yaml", "# all commented out\n"},
      {"conf.d/old.yml", with("o")},
      {"conf.d/README.md", "text"},
      {"conf.d/list.yaml",
       "- { name: l1, mode: ssh, servers: [x] }\n- { name: l2, mode: edge, hosts: [l], servers: [x:1] }\n"},
      {"conf.d/docs.yaml",
       "---\nname: d1\n" + with("d1") + "---\nname: d2\n" + with("d2") +
           "...\n"}}.load();
  CHECK(names(config.services) == Names{"a", "b", "d1", "d2", "kubernetes-api-v1", "l1", "l2"});
  CHECK(texts(config) ==
        "conf.d/empty.yaml:1:1: warning: holds no service\n    # all commented out\n    ^\n"
        "conf.d/old.yml: warning: is not read; files of services are named *.yaml\n");
  CHECK_FALSE(config.has_errors());
  CHECK(config.services[3].at.file == "conf.d/docs.yaml");
  CHECK(config.services[3].at.line == 7);
}

TEST_CASE("names: needed among several, used once, and told apart from files") {
  const Config several =
      Memory{{"conf.d/x.yaml", "- { mode: ssh, servers: [x] }\n- { name: y, mode: edge, servers: [x:1] }\n"}}.load();
  CHECK(names(several.services) == Names{"y"});
  REQUIRE(several.faults.size() == 1);
  CHECK(several.faults[0].message == "in a file with several services each needs a \"name\"");

  const Config twice = Memory{{"conf.d/a.yaml", "mode: edge\nhosts: [a]\nservers: [x:1]\n"},
                              {"conf.d/b.yaml", "name: a\nmode: edge\nhosts: [b]\nservers: [x:1]\n"}}
                           .load();
  CHECK(names(twice.services) == Names{"a"});
  CHECK(twice.services[0].hosts == Names{"a"});
  CHECK(twice.left_out.empty());
  CHECK(texts(twice).starts_with(
      "conf.d/b.yaml:1:1: error: the name \"a\" is already taken by the service at conf.d/a.yaml:1:1\n"));

  const Config odd = Memory{{"conf.d/my file.yaml", "mode: edge\nservers: [x:1]\n"}}.load();
  CHECK(texts(odd).starts_with(
      "conf.d/my file.yaml:1:1: error: \"my file\" cannot be the name of a service; write \"name\", or rename"));
}

TEST_CASE("listeners: built in, on demand, inline, and equal binds are one") {
  const Config config = Memory{{"gateway.yaml", "listeners: { k8s: { bind: \":6443\" } }\n"},
                               {"conf.d/a.yaml", "mode: tcp\nlisten: \":5432\"\nservers: [db.lan]\n"},
                               {"conf.d/b.yaml", "mode: ssh\nservers: [git.lan]\n"},
                               {"conf.d/c.yaml", "mode: passthrough\nlisten: [\":6443\", k8s]\nservers: [x:6443]\n"},
                               {"conf.d/d.yaml", "mode: ssh\nlisten: \":5432\"\nservers: [git.lan]\n"},
                               {"conf.d/e.yaml", "mode: http\nlisten: \":9999\"\nservers: [nonsense]\n"}}
                            .load();
  CHECK(find_service(config, "a")->listeners == Names{":5432"});
  CHECK(find_service(config, "a")->servers[0].port == 5432);
  CHECK(find_service(config, "b")->listeners == Names{"ssh"});
  CHECK(find_service(config, "b")->servers[0].port == 22);
  CHECK(find_service(config, "c")->listeners == Names{"k8s"});
  CHECK(find_service(config, "d")->listeners == Names{":5432"});
  Names listeners;
  for (const Listener& listener : config.listeners) listeners.push_back(listener.name);
  CHECK(listeners == Names{"http", "https", "ssh", "k8s", ":5432"});  // nothing for the service left out
  CHECK(config.listener(":5432")->inline_bind);
  CHECK_FALSE(config.listener("k8s")->inline_bind);

  const Config inline_ssh = Memory{{"conf.d/a.yaml", "mode: ssh\nlisten: \":22\"\nservers: [x]\n"}}.load();
  CHECK(find_service(inline_ssh, "a")->listeners == Names{"ssh"});
  const Config own_ssh = Memory{{"gateway.yaml", "listeners: { git: { bind: \":22\" } }\n"},
                                {"conf.d/a.yaml", "mode: ssh\nservers: [x]\n"}}
                             .load();
  CHECK(texts(own_ssh) == "");
  CHECK(find_service(own_ssh, "a")->listeners == Names{"git"});
  CHECK(own_ssh.listener("ssh") == nullptr);

  const Config off = Memory{{"gateway.yaml", "listeners:\n  http: off\n"},
                            {"conf.d/a.yaml", "mode: http\nservers: [x:80]\n"},
                            {"conf.d/b.yaml", "mode: http\nlisten: \":80\"\nservers: [x:80]\n"}}
                         .load();
  CHECK(texts(off) ==
        "conf.d/a.yaml:1:1: error: the listener \"http\" is off (gateway.yaml:2:3)\n    mode: http\n    ^\n");
  CHECK(find_service(off, "b")->listeners == Names{":80"});
  CHECK(off.listener("http") == nullptr);
}

TEST_CASE("merge keys and anchors: repeated values without repeating them") {
  const Config config = Memory{{"conf.d/x.yaml",
                                "- &base { name: a, mode: edge, hosts: [a.b], servers: &servers [c:80], retries: 9 }\n"
                                "- <<: *base\n  name: b\n  hosts: [b.b]\n"
                                "- { name: c, mode: http, servers: *servers }\n"}}
                            .load();
  CHECK(texts(config) == "");
  CHECK(names(config.services) == Names{"a", "b", "c"});
  CHECK(find_service(config, "b")->retries == 9);
  CHECK(find_service(config, "b")->hosts == Names{"b.b"});
}

TEST_CASE("bounds: what no configuration needs is refused, quickly") {
  std::string bomb = "a: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i)
    bomb += "k" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + ", *a" +
            std::to_string(i - 1) + "]\n";
  const std::string rows[] = {bomb, std::string(2000, '['), std::string(1024 * 1024 + 1, '#')};
  for (const std::string& row : rows) {
    const Config config = Memory{{"conf.d/x.yaml", row}}.load();
    REQUIRE(config.faults.size() == 1);
    CHECK(config.faults[0].severity == Severity::error);
    CHECK(config.left_out == Names{"x"});
  }
  std::string wide = "mode: edge\nservers: [a:80]\nhosts:\n";
  for (int i = 0; i < 200; ++i) wide += "  - h" + std::to_string(i) + "\n";
  wide += "paths:\n";
  for (int i = 0; i < 200; ++i) wide += "  - /p" + std::to_string(i) + "\n";
  CHECK(texts(Memory{{"conf.d/x.yaml", wide}}.load()).find("more than 10000 combinations of host and path") !=
        std::string::npos);
}

TEST_CASE("fingerprint: the same settings, however they are written") {
  const auto of = [](const std::string& text, const std::string& gateway = "") {
    const Config config = Memory{{"conf.d/x.yaml", text}, {"gateway.yaml", gateway}}.load();
    REQUIRE(config.services.size() == 1);
    return config.services[0].fingerprint;
  };
  const std::string base = of("mode: edge\nhosts: [a.b]\nservers: [c:80]\n");
  CHECK(of("# a remark\nservers: [{ address: c:80 }]\nname: x\nhosts: [A.b.]\nmode: edge\nretries: 3\nhealth: off\n") ==
        base);
  CHECK(of("hosts: [a.b]\nservers: [c:80]\n", "defaults: { mode: edge }\n") == base);
  CHECK(of("mode: edge\nhosts: [a.b]\nservers: [c:80]\n", "defaults: { retries: 4 }\n") != base);
  for (const char* more : {"retries: 4",
                           "timeouts: { tunnel: 2h }",
                           "plain_http: serve",
                           "paths: [/x]",
                           "access: { deny: [10.0.0.1] }",
                           "access: { allow: [10.0.0.1] }",
                           "headers: { request: { add: { A: b } } }",
                           "certificate: x",
                           "headers: { response: { add: { A: b } } }",
                           "proxy_protocol: v1",
                           "balance: source-hash",
                           "listen: http",
                           "protocol: tcp",
                           "client_certificates: { ca: x }",
                           "server_protocol: h2",
                           "slow_start: 1s",
                           "sticky: { by: source }",
                           "sticky: { by: cookie }",
                           "queue: { size: 1 }",
                           "retry_on: [503]",
                           "transparent: true",
                           "health: tcp",
                           "health: { passive: {} }",
                           "health: { on_down: close }",
                           "preset: nextcloud"}) {
    CAPTURE(more);
    CHECK(of("mode: edge\nhosts: [a.b]\nservers: [c:80]\n" + std::string(more) + "\n") != base);
  }
  const std::string tls = of("mode: reencrypt\nservers: [c:443]\n");
  CHECK(of("mode: reencrypt\nservers: [c:443]\nserver_tls: { protocol: auto }\n") == tls);
  CHECK(of("mode: reencrypt\nservers: [c:443]\nserver_tls: { protocol: h2 }\n") != tls);
  const std::string http = of("mode: http\nservers: [c:443]\nserver_tls: {}\n");
  CHECK(of("mode: http\nservers: [c:443]\nserver_tls: {}\n", "defaults: { server_protocol: h2 }\n") == http);
}

}  // namespace
}  // namespace sallyport::config
