// The keys that say which server gets what, and when one is out: each of their values, good and bad.
#include <functional>

#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;
using Ranges = std::vector<std::pair<uint16_t, uint16_t>>;
using Type = Health::Type;

Config loaded(const std::string& mode, const std::string& lines) {
  const std::string listen = mode == "tcp" ? "listen: \":7\"\n" : "";
  return Memory{{"conf.d/x.yaml", "mode: " + mode + "\nservers: [\"a:80\"]\n" + listen + lines + "\n"}}.load();
}

struct Good {
  const char* mode;
  const char* line;
  std::function<bool(const Service&)> holds;
};

void check_all(const std::vector<Good>& rows) {
  for (const Good& row : rows) {
    CAPTURE(row.mode, row.line);
    const Config config = loaded(row.mode, row.line);
    CHECK(texts(config) == "");
    REQUIRE(config.services.size() == 1);
    CHECK(row.holds(config.services[0]));
  }
}

struct Bad {
  const char* mode;
  const char* line;      // the third of the file
  const char* expected;  // column and message of its only fault
};

void check_all(const std::vector<Bad>& rows) {
  for (const Bad& row : rows) {
    CAPTURE(row.mode, row.line);
    const Config config = loaded(row.mode, row.line);
    CHECK(config.services.empty());
    REQUIRE(config.faults.size() == 1);
    const Fault& fault = config.faults[0];
    CHECK(fault.at.line == (std::string_view(row.mode) == "tcp" ? 4 : 3));
    CHECK(std::to_string(fault.at.column) + ": " + fault.message == row.expected);
  }
}

TEST_CASE("balance, slow_start: good and bad values") {
  check_all(std::vector<Good>{
      {"edge", "", [](const Service& s) { return s.balance == Balance::round_robin && s.slow_start == 0ms; }},
      {"ssh", "balance: round-robin", [](const Service& s) { return s.balance == Balance::round_robin; }},
      {"tcp", "balance: least-connections", [](const Service& s) { return s.balance == Balance::least_connections; }},
      {"passthrough", "balance: source-hash", [](const Service& s) { return s.balance == Balance::source_hash; }},
      {"passthrough", "balance: random", [](const Service& s) { return s.balance == Balance::random; }},
      {"edge", "balance: uri-hash", [](const Service& s) { return s.balance == Balance::uri_hash; }},
      {"reencrypt", "balance: uri-hash", [](const Service& s) { return s.balance == Balance::uri_hash; }},
      {"http", "balance: uri-hash", [](const Service& s) { return s.balance == Balance::uri_hash; }},
      {"tcp", "slow_start: 30s", [](const Service& s) { return s.slow_start == 30s; }},
      {"edge", "slow_start: 0", [](const Service& s) { return s.slow_start == 0s; }},
  });
  check_all(std::vector<Bad>{
      {"edge", "balance: least-conections",
       "10: unknown balance \"least-conections\"; did you mean \"least-connections\"?"},
      {"edge", "balance: fastest",
       "10: unknown balance \"fastest\"; expected round-robin, least-connections, source-hash, uri-hash or random"},
      {"passthrough", "balance: uri-hash",
       "1: balance: uri-hash means nothing in mode passthrough: no request is read"},
      {"ssh", "balance: uri-hash", "1: balance: uri-hash means nothing in mode ssh: no request is read"},
      {"tcp", "balance: uri-hash", "1: balance: uri-hash means nothing in mode tcp: no request is read"},
      {"edge", "slow_start: 30", "13: \"30\" has no unit; write \"30s\" for seconds"},
  });
}

TEST_CASE("sticky: good and bad values") {
  using By = Sticky::By;
  check_all(std::vector<Good>{
      {"edge", "", [](const Service& s) { return s.sticky.by == By::nothing; }},
      {"edge", "sticky: off", [](const Service& s) { return s.sticky.by == By::nothing; }},
      {"ssh", "sticky: { by: source }",
       [](const Service& s) {
         const Sticky& t = s.sticky;
         return t.by == By::source && t.expire == 30min && t.size == 10'000 && t.ipv6_prefix == 128;
       }},
      {"tcp", "sticky: { by: source, expire: 8h, size: 1, ipv6_prefix: 32 }",
       [](const Service& s) { return s.sticky.expire == 8h && s.sticky.size == 1 && s.sticky.ipv6_prefix == 32; }},
      {"edge", "sticky: { by: cookie }",
       [](const Service& s) { return s.sticky.by == By::cookie && s.sticky.cookie == "SRV"; }},
      {"http", "sticky: { by: cookie, name: my-Node_1 }",
       [](const Service& s) { return s.sticky.cookie == "my-Node_1"; }},
  });
  check_all(std::vector<Bad>{
      {"edge", "sticky: {}", "9: \"sticky\" needs \"by\": source or cookie"},
      {"edge", "sticky: { expire: 1h }", "9: \"sticky\" needs \"by\": source or cookie"},
      {"edge", "sticky: source", "9: expected a mapping for sticky, found \"source\""},
      {"edge", "sticky: { by: header }", "15: unknown by \"header\"; expected source or cookie"},
      {"edge", "sticky: { by: source, name: SRV }", "23: \"name\" means nothing with by: source"},
      {"edge", "sticky: { by: cookie, size: 5 }", "23: \"size\" means nothing with by: cookie"},
      {"edge", "sticky: { by: cookie, expire: 1h }", "23: \"expire\" means nothing with by: cookie"},
      {"edge", "sticky: { by: cookie, name: \"a b\" }",
       "29: the name of a cookie is 1 to 64 letters, digits, \"-\" or \"_\", found \"a b\""},
      {"edge", "sticky: { by: source, size: 0 }", "29: expected a number from 1 to 10000000, found \"0\""},
      {"edge", "sticky: { by: source, ipv6_prefix: 31 }", "36: expected a number from 32 to 128, found \"31\""},
      {"edge", "sticky: { by: source, ipv6_prefix: 129 }", "36: expected a number from 32 to 128, found \"129\""},
      {"passthrough", "sticky: { by: cookie }", "1: a cookie means nothing in mode passthrough; by: source does"},
      {"tcp", "sticky: { by: cookie }", "1: a cookie means nothing in mode tcp; by: source does"},
      {"edge", "sticky: { by: source, expires: 1h }", "23: unknown key \"expires\"; did you mean \"expire\"?"},
  });
}

TEST_CASE("health: good values") {
  const auto type_is = [](Type type) { return [type](const Service& s) { return s.health.type == type; }; };
  check_all(std::vector<Good>{
      {"edge", "", type_is(Type::off)},
      {"edge", "health: {}", type_is(Type::off)},
      {"edge", "health: off", type_is(Type::off)},
      {"edge", "health: { type: off }", type_is(Type::off)},
      {"edge", "health: tcp", type_is(Type::tcp)},
      {"passthrough", "health: tls", type_is(Type::tls)},
      {"edge", "health: http", type_is(Type::http)},
      {"tcp", "health: { type: https }", type_is(Type::https)},
      {"ssh", "health: ssh", type_is(Type::ssh)},
      {"tcp", "health: smtp", type_is(Type::smtp)},
      {"tcp", "health: mysql", type_is(Type::mysql)},
      {"tcp", "health: postgres", type_is(Type::postgres)},
      {"tcp", "health: redis", type_is(Type::redis)},
      {"edge", "health: http",
       [](const Service& s) {
         const Health& h = s.health;
         return h.interval == 2s && h.timeout == 5s && h.fall == 3 && h.rise == 2 && h.port == 0 && h.method == "GET" &&
                h.path == "/" && h.expect.empty() && h.body.empty() && h.passive_failures == 0 && !h.close_on_down;
       }},
      {"edge", "health: { type: http, interval: 100ms, timeout: 1s, fall: 1, rise: 1000, port: 8008 }",
       [](const Service& s) {
         const Health& h = s.health;
         return h.interval == 100ms && h.timeout == 1s && h.fall == 1 && h.rise == 1000 && h.port == 8008;
       }},
      {"edge",
       "health: { type: http, method: HEAD, path: \"/up?deep=1\", host: Cloud.Internal., body: \"ready: yes\" }",
       [](const Service& s) {
         const Health& h = s.health;
         return h.method == "HEAD" && h.path == "/up?deep=1" && h.host == "cloud.internal" && h.body == "ready: yes";
       }},
      {"edge", "health: { type: http, expect: 204 }",
       [](const Service& s) {
         return s.health.expect == Ranges{{204, 204}};
       }},
      {"edge", "health: { type: http, expect: 200-499 }",
       [](const Service& s) {
         return s.health.expect == Ranges{{200, 499}};
       }},
      {"edge", "health: { type: http, expect: [200, 300-399, 401] }",
       [](const Service& s) {
         return s.health.expect == Ranges{{200, 200}, {300, 399}, {401, 401}};
       }},
      {"edge", "hosts: [\"*.a.b\", c.a.b, d.a.b]\nhealth: http",
       [](const Service& s) { return s.health.host == "c.a.b"; }},
      {"edge", "hosts: [\"*.a.b\"]\nhealth: http", [](const Service& s) { return s.health.host.empty(); }},
      // Whose certificate it is matters to a check where it matters to traffic.
      {"reencrypt", "health: https", [](const Service& s) { return s.health.verify == Verify::required; }},
      {"reencrypt", "server_tls: { verify: none }\nhealth: https",
       [](const Service& s) { return s.health.verify == Verify::none; }},
      {"reencrypt", "health: { type: https, verify: none }",
       [](const Service& s) { return s.health.verify == Verify::none; }},
      {"passthrough", "health: tls", [](const Service& s) { return s.health.verify == Verify::none; }},
      {"passthrough", "health: { type: tls, verify: required }",
       [](const Service& s) { return s.health.verify == Verify::required; }},
      {"tcp", "health: { type: mysql, user: haproxy, password: secret }",
       [](const Service& s) { return s.health.user == "haproxy" && s.health.password == "secret"; }},
      {"tcp", "health: { type: postgres, user: haproxy }", [](const Service& s) { return s.health.user == "haproxy"; }},
      {"tcp", "health: { type: redis, password: secret }",
       [](const Service& s) { return s.health.password == "secret"; }},
      {"edge", "health: { passive: {} }",
       [](const Service& s) {
         return s.health.type == Type::off && s.health.passive_failures == 5 && s.health.passive_window == 30s;
       }},
      {"edge", "health: { passive: { failures: 2, window: 1m } }",
       [](const Service& s) { return s.health.passive_failures == 2 && s.health.passive_window == 1min; }},
      {"edge", "health: { passive: { failures: 0 } }", [](const Service& s) { return s.health.passive_failures == 0; }},
      {"tcp", "health: { on_down: close }", [](const Service& s) { return s.health.close_on_down; }},
      {"tcp", "health: { on_down: keep }", [](const Service& s) { return !s.health.close_on_down; }},
  });
  const Config several = Memory{{"conf.d/x.yaml", "mode: edge\nservers: [\"a:1\", \"b:1\"]\n"}}.load();
  CHECK(several.services.at(0).health.type == Type::tcp);
  const Config not_wanted = Memory{{"conf.d/x.yaml", "mode: edge\nservers: [\"a:1\", \"b:1\"]\nhealth: off\n"}}.load();
  CHECK(not_wanted.services.at(0).health.type == Type::off);
  const Config named = Memory{{"conf.d/x.yaml", "mode: edge\nservers: [\"a:1\"]\nresolve: all\n"}}.load();
  CHECK(named.services.at(0).health.type == Type::tcp);  // one name, perhaps several servers
}

TEST_CASE("health: bad values") {
  const char* statuses = "expected a status such as 200, or a range such as 200-399, found ";
  const std::string expect = std::string("31: ") + statuses;
  const std::string below = expect + "\"99\"", above = expect + "\"600\"", turned = expect + "\"399-200\"";
  const std::string letters = expect + "\"2xx\"", item = std::string("37: ") + statuses + "\"abc\"";
  check_all(std::vector<Bad>{
      {"edge", "health: http2", "9: unknown health \"http2\"; did you mean \"http\"?"},
      {"edge", "health: on",
       "9: unknown health \"on\"; expected off, tcp, tls, http, https, ssh, smtp, mysql, postgres or "
       "redis"},
      {"edge", "health: [tcp]", "9: expected a value, found a list"},
      {"edge", "health: { type: ldap, fall: 2 }",
       "17: unknown health \"ldap\"; expected off, tcp, tls, http, https, ssh, smtp, mysql, postgres or redis"},
      {"edge", "health: { intervall: 5s }", "11: unknown key \"intervall\"; did you mean \"interval\"?"},
      {"edge", "health: { interval: 99ms }", "21: at least 100ms, found \"99ms\""},
      {"edge", "health: { interval: 0 }", "21: at least 100ms, found \"0\""},
      {"edge", "health: { timeout: 1ms }", "20: at least 100ms, found \"1ms\""},
      {"edge", "health: { timeout: 5 }", "20: \"5\" has no unit; write \"5s\" for seconds"},
      {"edge", "health: { fall: 0 }", "17: expected a number from 1 to 1000, found \"0\""},
      {"edge", "health: { rise: 1001 }", "17: expected a number from 1 to 1000, found \"1001\""},
      {"edge", "health: { port: 0 }", "17: expected a number from 1 to 65535, found \"0\""},
      {"edge", "health: { method: \"GET /\" }", "19: expected a method such as GET or HEAD, found \"GET /\""},
      {"edge", "health: { path: health }", "17: expected a path such as /health, found \"health\""},
      {"edge", "health: { path: \"/a b\" }", "17: expected a path such as /health, found \"/a b\""},
      {"edge", "health: { type: http, expect: 99 }", below.c_str()},
      {"edge", "health: { type: http, expect: 600 }", above.c_str()},
      {"edge", "health: { type: http, expect: 399-200 }", turned.c_str()},
      {"edge", "health: { type: http, expect: 2xx }", letters.c_str()},
      {"edge", "health: { type: http, expect: [200, abc] }", item.c_str()},
      {"edge", "health: { host: \"a:80\" }", "17: expected a host name, found \"a:80\""},
      {"edge", "health: { verify: optional }", "19: unknown verify \"optional\"; expected required or none"},
      {"edge", "health: { on_down: drop }", "20: unknown on_down \"drop\"; expected keep or close"},
      {"edge", "health: { passive: on }", "20: expected a mapping for passive, found \"on\""},
      {"edge", "health: { passive: { window: 1ms } }", "30: at least 100ms, found \"1ms\""},
      {"edge", "health: { passive: { failures: -1 } }", "32: expected a number from 0 to 1000000, found \"-1\""},
      {"tcp", "health: { type: redis, user: x }", "24: \"user\" is for checks of type mysql and postgres, not redis"},
      {"edge", "health: { type: http, user: x }", "23: \"user\" is for checks of type mysql and postgres, not http"},
      {"edge", "health: { password: x }", "11: \"password\" is for checks of type mysql, postgres and redis, not off"},
  });
}

TEST_CASE("retries, retry_on, queue: good and bad values") {
  check_all(std::vector<Good>{
      {"edge", "", [](const Service& s) { return s.retries == 3 && s.retry_on.connect && !s.retry_on.reset; }},
      {"tcp", "retries: 0", [](const Service& s) { return s.retries == 0; }},
      {"edge", "retries: 100", [](const Service& s) { return s.retries == 100; }},
      {"ssh", "retry_on: [connect]",
       [](const Service& s) { return s.retry_on.connect && s.retry_on.statuses.empty(); }},
      {"edge", "retry_on: []", [](const Service& s) { return !s.retry_on.connect && !s.retry_on.reset; }},
      {"http", "retry_on: [reset, 404, 408, 425, 429, 500, 599]",
       [](const Service& s) {
         return !s.retry_on.connect && s.retry_on.reset &&
                s.retry_on.statuses == std::vector<uint16_t>{404, 408, 425, 429, 500, 599};
       }},
      {"edge", "", [](const Service& s) { return s.queue.size == 100 && s.queue.timeout == 30s; }},
      {"tcp", "queue: { size: 5 }", [](const Service& s) { return s.queue.size == 5 && s.queue.timeout == 30s; }},
      {"edge", "queue: { size: 0, timeout: 1m }",
       [](const Service& s) { return s.queue.size == 0 && s.queue.timeout == 1min; }},
  });
  check_all(std::vector<Bad>{
      {"edge", "retries: 101", "10: expected a number from 0 to 100, found \"101\""},
      {"edge", "retry_on: connect", "11: expected a list, such as [connect], found \"connect\""},
      {"edge", "retry_on: [timeout]",
       "12: expected connect, reset, 404, 408, 425, 429 or a status from 500 to 599, found \"timeout\""},
      {"edge", "retry_on: [connect, 403]",
       "21: expected connect, reset, 404, 408, 425, 429 or a status from 500 to 599, found \"403\""},
      {"edge", "retry_on: [600]",
       "12: expected connect, reset, 404, 408, 425, 429 or a status from 500 to 599, found \"600\""},
      {"tcp", "retry_on: [503]", "12: \"503\" means nothing in mode tcp: no request is read"},
      {"passthrough", "retry_on: [connect, reset]",
       "21: \"reset\" means nothing in mode passthrough: no request is read"},
      {"edge", "queue: 5", "8: expected a mapping for queue, found \"5\""},
      {"edge", "queue: { size: many }", "16: expected a number from 0 to 1000000, found \"many\""},
      {"edge", "queue: { timeout: 5 }", "19: \"5\" has no unit; write \"5s\" for seconds"},
  });
}

TEST_CASE("proxy_protocol, transparent, and what a server may carry: good and bad values") {
  check_all(std::vector<Good>{
      {"edge", "", [](const Service& s) { return s.proxy_protocol == ProxyProtocol::off && !s.transparent; }},
      {"tcp", "proxy_protocol: v1", [](const Service& s) { return s.proxy_protocol == ProxyProtocol::v1; }},
      {"passthrough", "proxy_protocol: v2", [](const Service& s) { return s.proxy_protocol == ProxyProtocol::v2; }},
      {"edge", "proxy_protocol: off", [](const Service& s) { return s.proxy_protocol == ProxyProtocol::off; }},
      {"tcp", "transparent: true", [](const Service& s) { return s.transparent; }},
      {"edge", "transparent: false", [](const Service& s) { return !s.transparent; }},
  });
  check_all(std::vector<Bad>{
      {"edge", "proxy_protocol: v3", "17: unknown proxy_protocol \"v3\"; did you mean \"v1\"?"},
      {"edge", "proxy_protocol: true", "17: unknown proxy_protocol \"true\"; expected off, v1 or v2"},
      {"edge", "transparent: yes", "14: expected true or false, found \"yes\""},
  });
  const Config servers = Memory{{"conf.d/x.yaml",
                                 "mode: edge\nservers:\n"
                                 "  - { address: \"a:80\", weight: 0, max_connections: 5 }\n"
                                 "  - { address: \"b:80\", weight: 256, backup: true }\n"}}
                             .load();
  CHECK(texts(servers) == "");
  REQUIRE(servers.services.size() == 1);
  const std::vector<Server>& both = servers.services[0].servers;
  REQUIRE(both.size() == 2);
  CHECK(both[0].weight == 0);
  CHECK(both[0].max_connections == 5);
  CHECK_FALSE(both[0].backup);
  CHECK(both[1].weight == 256);
  CHECK(both[1].max_connections == 0);
  CHECK(both[1].backup);
  const Config bad = Memory{{"conf.d/x.yaml",
                             "mode: edge\nservers: [{ address: \"a:80\", backup: 1 }]\n---\nname: y\nmode: edge\n"
                             "servers: [{ address: \"a:80\", max_connections: -1 }]\n"}}
                         .load();
  CHECK(bad.faults.size() == 3);  // the first has no name
  CHECK(texts(bad).find("expected true or false, found \"1\"") != std::string::npos);
  CHECK(texts(bad).find("expected a number from 0 to 10000000, found \"-1\"") != std::string::npos);
}

TEST_CASE("in redirect none of them means anything") {
  for (const char* line : {"balance: random", "slow_start: 1s", "sticky: off", "health: off", "queue: {}", "retries: 1",
                           "retry_on: [connect]", "proxy_protocol: off", "transparent: false"}) {
    const std::string text = "mode: redirect\nredirect: { to: \"https://a.b\" }\n" + std::string(line) + "\n";
    const Config config = Memory{{"conf.d/x.yaml", text}}.load();
    REQUIRE(config.faults.size() == 1);
    const std::string key(line, std::string_view(line).find(':'));
    CHECK(config.faults[0].message == "\"" + key + "\" means nothing in mode redirect");
  }
}

TEST_CASE("in defaults what means nothing in a service's mode is passed over") {
  const char* defaults =
      "defaults:\n  balance: uri-hash\n  sticky: { by: cookie, name: NODE }\n  retry_on: [connect, reset, 503]\n"
      "  health: { type: mysql, user: haproxy, password: secret, interval: 9s }\n";
  const Config config =
      Memory{{"gateway.yaml", defaults},
             {"conf.d/pass.yaml", "mode: passthrough\nhosts: [p.b]\nservers: [\"a:1\"]\nhealth: tls\n"},
             {"conf.d/edge.yaml", "mode: edge\nhosts: [e.b]\nservers: [\"a:1\"]\nsticky: { by: source }\n"}}
          .load();
  CHECK(texts(config) == "");
  const Service* pass = find_service(config, "pass");
  REQUIRE(pass != nullptr);
  CHECK(pass->balance == Balance::round_robin);
  CHECK(pass->sticky.by == Sticky::By::nothing);
  CHECK(pass->retry_on.connect);
  CHECK_FALSE(pass->retry_on.reset);
  CHECK(pass->retry_on.statuses.empty());
  CHECK(pass->health.type == Type::tls);
  CHECK(pass->health.interval == 9s);
  CHECK(pass->health.user.empty());
  const Service* edge = find_service(config, "edge");
  REQUIRE(edge != nullptr);
  CHECK(edge->balance == Balance::uri_hash);
  CHECK(edge->sticky.by == Sticky::By::source);
  CHECK(edge->retry_on.statuses == std::vector<uint16_t>{503});
  CHECK(edge->health.type == Type::mysql);
  CHECK(edge->health.user == "haproxy");
}

}  // namespace
}  // namespace sallyport::config
