// Which service has a route when two want it.
#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("claims: which pairs of services exclude each other") {
  const char* passthrough = "mode: passthrough\nhosts: [a.b]\nservers: [x:443]\n";
  const char* edge = "mode: edge\nhosts: [a.b]\nservers: [x:80]\n";
  const char* http = "mode: http\nhosts: [a.b]\nservers: [x:80]\n";
  const char* redirect = "mode: redirect\nhosts: [a.b]\nredirect: { to: \"https://c.d\" }\n";
  const char* ssh = "mode: ssh\nservers: [x]\n";
  const char* tcp = "mode: tcp\nlisten: ssh\nservers: [x]\n";
  const auto with = [](const char* text, const char* more) { return std::string(text) + more + "\n"; };
  const struct {
    std::string first, second;
    bool conflict;
  } rows[] = {
      {passthrough, passthrough, true},
      {passthrough, edge, true},
      {passthrough, with(edge, "paths: [/x]"), true},
      {with(edge, "paths: [/x]"), passthrough, true},
      {passthrough, with(edge, "listen: \":8443\""), false},
      {edge, with(edge, "paths: [/x]"), false},
      {with(edge, "paths: [/x, /y]"), with(edge, "paths: [/y, /z]"), true},
      {edge, "mode: edge\nhosts: [\"*.b\"]\nservers: [x:80]\n", false},
      {edge, "mode: edge\nservers: [x:80]\n", false},
      {"mode: edge\nservers: [x:80]\n", "mode: passthrough\nservers: [x:80]\n", true},  // both any host
      {edge, "mode: reencrypt\nhosts: [A.B.]\nservers: [x:443]\n", true},
      {edge, with(edge, "protocol: tcp"), true},
      {with(edge, "protocol: tcp"), with(edge, "paths: [/x]"), true},
      {edge, http, false},
      {edge, with(http, "listen: https"), false},  // TLS and plain on one port are two routes
      {with(edge, "plain_http: serve"), with(http, "listen: https"), true},
      {with(edge, "plain_http: serve"), http, false},
      {with(edge, "plain_http: serve"), with(edge, "plain_http: serve\nlisten: \":8443\""), true},
      {with(edge, "plain_http: serve"), with(edge, "plain_http: serve\nlisten: \":8443\"\npaths: [/x]"), false},
      {with(edge, "plain_http: serve"), with(edge, "listen: \":8443\""), false},
      {http, redirect, true},
      {http, with(redirect, "paths: [/old]"), false},
      {edge, redirect, false},
      {edge, with(redirect, "listen: https"), true},
      {edge, with(redirect, "listen: https\npaths: [/old]"), false},
      {passthrough, with(redirect, "listen: https"), true},
      {ssh, ssh, true},
      {ssh, tcp, false},
      {tcp, tcp, true},
      {ssh, with("mode: ssh\nservers: [x]\n", "listen: \":2222\""), false},
      {ssh, edge, false},
      // one host, one handshake
      {with(edge, "certificate: x.pem"), with(edge, "paths: [/x]"), true},
      {with(edge, "certificate: x.pem"), with(edge, "certificate: x.pem\npaths: [/x]"), false},
      {with(edge, "client_certificates: { ca: x.pem }"), with(edge, "paths: [/x]"), true},
      {with(edge, "client_certificates: { ca: x.pem }"),
       with(edge, "client_certificates: { ca: x.pem, verify: required }\npaths: [/x]"), false},
      {with(edge, "client_certificates: { ca: x.pem }"), with(redirect, "listen: https\npaths: [/old]"), true},
      {with(edge, "client_certificates: { ca: x.pem }"), redirect, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.first, row.second);
    const Config config = Memory{{"conf.d/a.yaml", row.first}, {"conf.d/b.yaml", row.second}}.load();
    CHECK(names(config.services) == (row.conflict ? Names{"a"} : Names{"a", "b"}));
    CHECK(config.left_out == (row.conflict ? Names{"b"} : Names{}));
    CHECK(config.has_errors() == row.conflict);
    for (const Fault& fault : config.faults) CHECK(fault.at.file == "conf.d/b.yaml");
  }
}

TEST_CASE("claims: what the fault says") {
  const Memory files{{"conf.d/a.yaml", "mode: edge\nhosts: [a.b, c.d]\npaths: [/, /x]\nservers: [x:80]\n"},
                     {"conf.d/b.yaml", "mode: edge\nhosts: [c.d, e.f]\npaths: [/x]\nservers: [x:80]\n"},
                     {"conf.d/c.yaml", "mode: edge\nhosts: [c.d]\npaths: [/z]\ncertificate: z\nservers: [x:80]\n"},
                     {"conf.d/s.yaml", "mode: ssh\nservers: [x]\n"},
                     {"conf.d/t.yaml", "mode: ssh\nservers: [y]\n"}};
  CHECK(texts(files.load()) ==
        "conf.d/b.yaml:2:9: error: host \"c.d\", path \"/x\" is already served by service \"a\" (conf.d/a.yaml:2:14)\n"
        "conf.d/c.yaml:2:9: error: host \"c.d\" is also served by service \"a\" (conf.d/a.yaml:2:14) with another "
        "certificate or "
        "client_certificates; services that share a host need the same\n"
        "conf.d/t.yaml:1:1: error: the listener \"ssh\" already has the ssh service \"s\" (conf.d/s.yaml:1:1); it can "
        "have one\n");
}

TEST_CASE("claims: one that is left out claims nothing") {
  const Config config = Memory{{"conf.d/a.yaml", "mode: edge\nhosts: [a.b]\nservers: [x:80]\n"},
                               {"conf.d/b.yaml", "mode: edge\nhosts: [a.b, c.d]\nservers: [x:80]\n"},
                               {"conf.d/c.yaml", "mode: edge\nhosts: [c.d]\nservers: [x:80]\n"}}
                            .load();
  CHECK(names(config.services) == Names{"a", "c"});
  CHECK(config.faults.size() == 1);
}

std::string edge(const char* host, const char* server = "x:80") {
  return std::string("mode: edge\nhosts: [") + host + "]\nservers: [" + server + "]\n";
}

TEST_CASE("reload: who serves a route keeps it, wherever the newcomer's file stands") {
  Memory files{{"conf.d/m.yaml", edge("a.b")}};
  const Config before = files.load();
  files.file("conf.d/a.yaml", edge("a.b"));
  const Config after = files.load(&before);
  CHECK(names(after.services) == Names{"m"});
  CHECK(after.left_out == Names{"a"});
  CHECK(after.kept.empty());
  CHECK(texts(after).starts_with(
      "conf.d/a.yaml:2:9: error: host \"a.b\" is already served by service \"m\" (conf.d/m.yaml:2:9)\n"));
  // At a start the first in file order has it.
  CHECK(names(files.load().services) == Names{"a"});
}

TEST_CASE("reload: a service with a fault is kept as it was, with its routes and its listeners") {
  Memory files{{"conf.d/a.yaml", "mode: tcp\nlisten: \":5432\"\nservers: [db.lan]\n"}, {"conf.d/b.yaml", edge("b.b")}};
  const Config before = files.load();
  files.file("conf.d/a.yaml", "mode: tpc\n")
      .file("conf.d/c.yaml", "mode: tcp\nlisten: \":5432\"\nservers: [other.lan]\n");
  const Config after = files.load(&before);
  CHECK(names(after.services) == Names{"b"});
  CHECK(after.left_out == Names{"a", "c"});
  REQUIRE(names(after.kept) == Names{"a"});
  CHECK(after.kept[0].servers[0].host == "db.lan");
  CHECK(after.listener(":5432") != nullptr);
  // It goes on being kept, and comes back when the fault is gone.
  const Config later = files.load(&after);
  CHECK(names(later.kept) == Names{"a"});
  files.file("conf.d/a.yaml", "mode: tcp\nlisten: \":5432\"\nservers: [new.lan]\n");
  const Config mended = files.load(&later);
  CHECK(names(mended.services) == Names{"a", "b"});
  CHECK(mended.kept.empty());
  CHECK(mended.left_out == Names{"c"});
  CHECK(find_service(mended, "a")->servers[0].host == "new.lan");
  // A file that is gone ends its service, faulty or not.
  files.remove("conf.d/a.yaml");
  CHECK(names(files.load(&later).services) == Names{"b", "c"});
}

TEST_CASE("reload: one that loses its new route keeps its old one, and so on") {
  Memory files{{"conf.d/a.yaml", edge("a.b")}, {"conf.d/b.yaml", edge("b.b")}, {"conf.d/c.yaml", edge("c.b")}};
  const Config before = files.load();
  // b wants what a has, and c what b gives up: b stays where it is, so c stays too.
  files.file("conf.d/b.yaml", edge("a.b")).file("conf.d/c.yaml", edge("b.b"));
  const Config after = files.load(&before);
  CHECK(names(after.services) == Names{"a"});
  CHECK(names(after.kept) == Names{"b", "c"});
  CHECK(after.kept[0].hosts == Names{"b.b"});
  CHECK(after.kept[1].hosts == Names{"c.b"});
  CHECK(after.faults.size() == 2);
  // Two that trade places are no conflict.
  files.file("conf.d/b.yaml", edge("c.b")).file("conf.d/c.yaml", edge("b.b"));
  const Config traded = files.load(&before);
  CHECK(texts(traded) == "");
  CHECK(find_service(traded, "b")->hosts == Names{"c.b"});
}

TEST_CASE("reload: certificates shared on a host change together") {
  const auto below = [](const char* path, const char* more) { return edge("a.b") + "paths: [" + path + "]\n" + more; };
  Memory files{{"conf.d/a.yaml", below("/", "")}, {"conf.d/b.yaml", below("/x", "")}};
  const Config before = files.load();
  REQUIRE(texts(before) == "");
  files.file("conf.d/a.yaml", below("/", "certificate: new.pem\n"));
  const Config alone = files.load(&before);
  CHECK(names(alone.services) == Names{"b"});
  CHECK(names(alone.kept) == Names{"a"});
  CHECK(alone.faults.size() == 1);
  files.file("conf.d/b.yaml", below("/x", "certificate: new.pem\n"));
  CHECK(texts(files.load(&before)) == "");
}

TEST_CASE("reload: a file that cannot be read keeps every service it gave") {
  Memory files{{"conf.d/x.yaml",
                "- { name: a, mode: edge, hosts: [a], servers: [x:80] }\n- { name: b, mode: edge, hosts: [b], servers: "
                "[x:80] }\n"},
               {"conf.d/y.yaml", edge("y.b")}};
  const Config before = files.load();
  for (const char* broken : {"- { name: a", "- { mode: edge, hosts: [a], servers: [x:80] }\n- { name: b }\n"}) {
    CAPTURE(broken);
    const Config after = files.file("conf.d/x.yaml", broken).load(&before);
    CHECK(names(after.services) == Names{"y"});
    CHECK(names(after.kept) == Names{"a", "b"});
  }
  // One of two with a fault: the other is read anew, and one that was taken out is gone.
  const Config half = files.file("conf.d/x.yaml", "- { name: a, mode: nonsense, servers: [x:80] }\n").load(&before);
  CHECK(names(half.kept) == Names{"a"});
}

TEST_CASE("reload: the folder of services is gone, the services are not") {
  Memory files{{"conf.d/x.yaml", edge("a.b")}};
  const Config before = files.load();
  files.remove("conf.d/x.yaml").folder_gone();
  const Config after = files.load(&before);
  CHECK(after.has_errors());
  CHECK(names(after.kept) == Names{"x"});
  const Config start = files.load();
  CHECK_FALSE(start.has_errors());
  CHECK(texts(start) == "conf.d: warning: there is no such folder, so there are no services\n");
}

TEST_CASE("reload: with a faulty gateway.yaml the last good one stays, and services still reload") {
  Memory files{{"gateway.yaml", "listeners: { k8s: { bind: \":6443\" } }\ndefaults: { retries: 9 }\nworkers: 2\n"},
               {"conf.d/x.yaml", "mode: passthrough\nlisten: k8s\nservers: [x:6443]\n"}};
  const Config before = files.load();
  REQUIRE(texts(before) == "");
  files.file("gateway.yaml", "listeners: { web: { bind: \":8000\" } }\nwokers: 4\n").file("conf.d/y.yaml", edge("a.b"));
  const Config after = files.load(&before);
  CHECK(after.gateway_faulty);
  CHECK(texts(after) ==
        "gateway.yaml:2:1: error: unknown key \"wokers\"; did you mean \"workers\"?\n    wokers: 4\n    ^\n");
  CHECK(after.gateway.workers == 2);
  CHECK(after.listener("k8s") != nullptr);
  CHECK(after.listener("web") == nullptr);
  CHECK(names(after.services) == Names{"x", "y"});
  CHECK(find_service(after, "y")->retries == 9);
  CHECK(find_service(after, "x")->fingerprint == find_service(before, "x")->fingerprint);
  const Config again = files.load(&after);  // still the last good one
  CHECK(again.gateway_faulty);
  CHECK(find_service(again, "y")->retries == 9);
  files.file("gateway.yaml", "workers: 4\n");
  const Config mended = files.load(&again);
  CHECK_FALSE(mended.gateway_faulty);
  CHECK(mended.gateway.workers == 4);
  CHECK(names(mended.kept) == Names{"x"});  // its listener is gone: its last version stays where it was
  CHECK(mended.listener("k8s") != nullptr);
}

TEST_CASE("reload: one name in two files is the one's that had it") {
  Memory files{{"conf.d/m.yaml", "name: s\n" + edge("m.b")}};
  const Config before = files.load();
  files.file("conf.d/a.yaml", "name: s\n" + edge("a.b"));
  const Config after = files.load(&before);
  REQUIRE(names(after.services) == Names{"s"});
  CHECK(after.services[0].hosts == Names{"m.b"});
  CHECK(after.left_out.empty());
  CHECK(after.kept.empty());
  CHECK(after.has_errors());
}

}  // namespace
}  // namespace sallyport::config
