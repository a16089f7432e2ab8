// What is built from a configuration folder: contexts of listeners and servers, and what is warned of.
#include "runtime/snapshot.h"

#include "catch.h"
#include "config/load.h"
#include "runtime/context_builder.h"
#include "test_certificates.h"
#include "tests/unit/transport/tls_pair.h"

namespace sallyport {
namespace {

using test::make_certificate;

// A configuration folder on disk.
class Folder {
 public:
  Folder& file(const std::string& name, const std::string& text) {
    folder_.write(name, text);
    return *this;
  }
  Folder& certificate(const std::string& file, const std::string& sans) {
    const test::Made made = make_certificate({.sans = sans});
    folder_.write(file, test::pem(made.certificate) + test::pem(made.key));
    return *this;
  }
  std::shared_ptr<const Snapshot> build() const {
    return build_snapshot(config::load(folder_.path()), std::make_shared<TicketKeys>());
  }
  // As a reload does.
  std::shared_ptr<const Snapshot> rebuild(const Snapshot& before) const {
    return build_snapshot(config::load(folder_.path(), &before.config), std::make_shared<TicketKeys>(), &before);
  }
  void remove(const std::string& name) const { std::filesystem::remove(folder_.path() / name); }

 private:
  test::TemporaryFolder folder_;
};

std::string texts(const Snapshot& snapshot) {
  std::string out;
  for (const config::Fault& fault : snapshot.config.faults) out += fault.text() + "\n";
  return out;
}

const ListenerRules& listener(const Snapshot& snapshot, const char* name) {
  for (const auto& rules : snapshot.listeners)
    if (rules->name == name) return *rules;
  FAIL("no listener " << name);
  throw;
}

const Upstream& upstream(const Snapshot& snapshot, const char* name) {
  for (const auto& service : snapshot.services)
    if (service->config.name == name) return *service->upstream;
  FAIL("no service " << name);
  throw;
}

// What a client that offers both is answered there.
std::string protocol_on(SSL_CTX* server) {
  if (server == nullptr) return "no context";
  static const std::string_view kBoth[] = {"h2", "http/1.1"};
  const auto client = make_upstream_context({"", false, nullptr, kBoth});
  test::TlsPair pair(client->get(), server);
  return pair.handshake() ? pair.alpn() : "-";
}

}  // namespace

TEST_CASE("listeners: each offers its clients what its http2 says, with contexts shared among those alike") {
  const auto snapshot =
      Folder()
          .certificate("certs/a.pem", "DNS:a.tld,DNS:b.tld,DNS:unused.tld")
          .certificate("certs/fixed.pem", "DNS:other.tld")
          .file("gateway.yaml",
                "listeners:\n  old: { bind: \":8443\", http2: off }\n  older: { bind: \":8444\", http2: off }\n"
                "  new: { bind: \":8445\", http2: { max_headers: 50 } }\n")
          .file("conf.d/a.yaml", "mode: edge\nlisten: [https, old, older, new]\nhosts: [a.tld]\nservers: [x:80]\n")
          .file("conf.d/b.yaml",
                "mode: edge\nlisten: [https, old]\nhosts: [b.tld]\nservers: [x:80]\ncertificate: fixed.pem\n")
          .file("conf.d/c.yaml",
                "mode: edge\nlisten: [https, old]\nhosts: [c.tld]\nservers: [x:80]\nprotocol: tcp\n"
                "certificate: fixed.pem\n")
          .build();
  CHECK(texts(*snapshot) == "");
  const std::string best = ContextBuilder::kOfferH2ToClients ? "h2" : "http/1.1";
  const auto of = [&](const char* name, const char* host) -> const TlsHost& {
    return *listener(*snapshot, name).tls.find(host);
  };
  for (const auto& [name, expected] :
       {std::pair("https", best), std::pair("new", best), std::pair("old", std::string("http/1.1"))}) {
    CAPTURE(name);
    CHECK(protocol_on(of(name, "a.tld").contexts->pick("a.tld")) == expected);
    CHECK(protocol_on(listener(*snapshot, name).default_contexts->pick("unused.tld")) == expected);
  }
  CHECK(protocol_on(of("https", "b.tld").fixed.get()) == best);
  CHECK(protocol_on(of("old", "b.tld").fixed.get()) == "http/1.1");
  CHECK(protocol_on(of("https", "c.tld").fixed.get()) == "");
  CHECK(of("https", "c.tld").fixed == of("old", "c.tld").fixed);
  CHECK(of("old", "a.tld").contexts == of("older", "a.tld").contexts);
  CHECK(of("https", "a.tld").contexts == of("new", "a.tld").contexts);
  CHECK(listener(*snapshot, "https").default_contexts == of("https", "a.tld").contexts);
  CHECK(listener(*snapshot, "old").default_contexts == of("old", "a.tld").contexts);
  CHECK(listener(*snapshot, "new").config.http2.max_headers == 50);
}

TEST_CASE("servers: a name that stands for several has a place for each, 64 for a service at most") {
  std::string many = "[10.0.0.1:80";
  for (int i = 0; i < 7; ++i) many += ", n" + std::to_string(i) + ":80";
  std::string most = "[x:80";
  for (int i = 0; i < 70; ++i) most += ", 10.0.1." + std::to_string(i) + ":80";
  const auto snapshot = Folder()
                            .certificate("certs/a.pem", "DNS:*.tld")
                            .file("conf.d/services.yaml", R"(
- { name: first, mode: http, hosts: [a.tld], servers: [x:80, 10.0.0.1:80] }
- { name: all, mode: http, hosts: [b.tld], servers: [x:80, "unix:/x", 10.0.0.1:80, "[::1]:80"], resolve: all }
- { name: srv, mode: http, hosts: [c.tld], servers: [{ address: _http._tcp.x, weight: 7, backup: true }], resolve: srv }
- { name: many, mode: http, hosts: [d.tld], servers: )" + many + R"(], resolve: all }
- { name: most, mode: http, hosts: [e.tld], servers: )" + most + R"(], resolve: all }
)")
                            .build();
  CHECK(texts(*snapshot) == "");
  const auto keys = [&](const char* name) {
    std::string out;
    for (const auto& endpoint : upstream(*snapshot, name).endpoints) out += endpoint->key() + " ";
    return out;
  };
  CHECK(keys("first") == "x:80 10.0.0.1:80 ");
  std::string sixteen[2];
  for (int i = 0; i < 16; ++i) {
    sixteen[0] += "x:80#" + std::to_string(i) + " ";
    sixteen[1] += "_http._tcp.x#" + std::to_string(i) + " ";
  }
  CHECK(keys("all") == sixteen[0] + "unix:/x 10.0.0.1:80 [::1]:80 ");
  CHECK(keys("srv") == sixteen[1]);
  const Endpoint& record = *upstream(*snapshot, "srv").endpoints[3];
  CHECK(record.port() == 0);
  CHECK(record.weight() == 7);
  CHECK(record.backup());
  CHECK(record.host() == "_http._tcp.x");
  CHECK(record.tls_name() == "x");
  CHECK_FALSE(record.has_address());
  CHECK(upstream(*snapshot, "many").endpoints.size() == 1 + 7 * 9);
  CHECK(upstream(*snapshot, "most").endpoints.size() == 71);
}

TEST_CASE("servers: the protocol, and a second context where it is agreed on") {
  const auto snapshot = Folder()
                            .file("conf.d/services.yaml", R"(
- { name: auto, mode: reencrypt, hosts: [a.tld], servers: [x:443] }
- { name: auto2, mode: http, hosts: [a.tld], servers: [x:443], server_tls: {} }
- { name: h2, mode: reencrypt, hosts: [b.tld], servers: [x:443], server_tls: { protocol: h2 } }
- { name: http1, mode: reencrypt, hosts: [c.tld], servers: [x:443], server_tls: { protocol: http/1.1 } }
- { name: tcp, mode: reencrypt, protocol: tcp, hosts: [d.tld], servers: [x:993] }
- { name: ssh, mode: ssh, servers: [x:443], server_tls: {} }
- { name: plain, mode: edge, hosts: [e.tld], servers: [x:80] }
- { name: h2c, mode: edge, hosts: [f.tld], servers: [x:80], server_protocol: h2 }
)")
                            .certificate("certs/a.pem", "DNS:*.tld")
                            .build();
  CHECK(texts(*snapshot) == "");
  using config::HttpProtocol;
  const struct {
    const char* name;
    HttpProtocol protocol;
    bool tls, tls_http1;
  } rows[] = {
      {"auto", HttpProtocol::auto_, true, true},    {"auto2", HttpProtocol::auto_, true, true},
      {"h2", HttpProtocol::h2, true, false},        {"http1", HttpProtocol::http1, true, false},
      {"tcp", HttpProtocol::http1, true, false},    {"ssh", HttpProtocol::http1, true, false},
      {"plain", HttpProtocol::http1, false, false}, {"h2c", HttpProtocol::h2, false, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const Upstream& made = upstream(*snapshot, row.name);
    CHECK(made.protocol == row.protocol);
    CHECK((made.tls != nullptr) == row.tls);
    CHECK((made.tls_http1 != nullptr) == row.tls_http1);
  }
  CHECK(upstream(*snapshot, "auto").tls == upstream(*snapshot, "auto2").tls);
  CHECK(upstream(*snapshot, "auto").tls_http1 == upstream(*snapshot, "http1").tls);
  CHECK(upstream(*snapshot, "tcp").tls == upstream(*snapshot, "ssh").tls);
  CHECK(upstream(*snapshot, "tcp").tls != upstream(*snapshot, "http1").tls);
  CHECK(upstream(*snapshot, "h2").tls != upstream(*snapshot, "http1").tls);
  CHECK((upstream(*snapshot, "auto").tls != upstream(*snapshot, "auto").tls_http1) ==
        ContextBuilder::kOfferH2ToServers);
}

TEST_CASE("warnings: a passthrough host that a certificate for ended TLS covers too") {
  const std::string edge = "mode: edge\nhosts: [shop.a.tld]\nservers: [x:80]\n";
  const std::string off = "listeners: { https: { http2: off } }\n";
  const struct {
    const char* what;
    std::string gateway, edge, passthrough, sans;
    std::string expected;  // the warning's place and what it says is covered; "": none
  } rows[] = {
      {"a wildcard certificate", "", edge, "hosts: [x.tld, git.a.tld]", "DNS:*.a.tld",
       "3:16: warning: the certificate c.pem also covers \"git.a.tld\", which is passed through"},
      {"the name itself", "", edge, "hosts: [git.a.tld]", "DNS:shop.a.tld,DNS:git.a.tld",
       "3:9: warning: the certificate c.pem also covers \"git.a.tld\", which is passed through"},
      {"not covered", "", edge, "hosts: [git.b.tld]", "DNS:*.a.tld", ""},
      {"two labels below", "", edge, "hosts: [x.git.a.tld]", "DNS:*.a.tld", ""},
      {"the parent", "", edge, "hosts: [a.tld]", "DNS:*.a.tld", ""},
      {"HTTP/2 is off", off, edge, "hosts: [git.a.tld]", "DNS:*.a.tld", ""},
      {"HTTP/2 has limits", "listeners: { https: { http2: { max_headers: 50 } } }\n", edge, "hosts: [git.a.tld]",
       "DNS:*.a.tld", "3:9: warning: the certificate c.pem also covers \"git.a.tld\", which is passed through"},
      {"TLS ends on another listener", "", edge + "listen: \":8443\"\n", "hosts: [git.a.tld]", "DNS:*.a.tld", ""},
      {"HTTP/2 is off where both are", off, edge + "listen: [https, \":8443\"]\n", "hosts: [git.a.tld]", "DNS:*.a.tld",
       ""},
      {"HTTP/2 is on where only one is", off, edge + "listen: [https, \":8443\"]\n",
       "hosts: [git.a.tld]\nlisten: [https, \":8444\"]", "DNS:*.a.tld", ""},
      {"both on a second listener", off, edge + "listen: [https, \":8443\"]\n",
       "hosts: [git.a.tld]\nlisten: [https, \":8443\"]", "DNS:*.a.tld",
       "3:9: warning: the certificate c.pem also covers \"git.a.tld\", which is passed through"},
      {"what is ended is not HTTP", "", edge + "protocol: tcp\n", "hosts: [git.a.tld]", "DNS:*.a.tld", ""},
      {"a redirect ends TLS", "",
       "mode: redirect\nlisten: https\nhosts: [shop.a.tld]\nredirect: { to: \"https://x.tld\" }\n",
       "hosts: [git.a.tld]", "DNS:*.a.tld",
       "3:9: warning: the certificate c.pem also covers \"git.a.tld\", which is passed through"},
      {"a wildcard host, the same wildcard", "", edge, "hosts: [\"*.a.tld\"]", "DNS:*.a.tld",
       "3:9: warning: the certificate c.pem also covers \"*.a.tld\", which is passed through"},
      {"a wildcard host, a name below it", "", edge, "hosts: [\"*.a.tld\"]", "DNS:shop.a.tld,DNS:git.a.tld",
       "3:9: warning: the certificate c.pem also covers \"git.a.tld\", which \"*.a.tld\" passes through"},
      {"a wildcard host, and only the name that ends here", "", edge, "hosts: [\"*.a.tld\"]", "DNS:shop.a.tld", ""},
      {"any host, a wildcard certificate", "", edge, "hosts: [\"*\"]", "DNS:*.a.tld",
       "3:9: warning: the certificate c.pem also covers \"*.a.tld\", which \"*\" passes through"},
      {"any host, and only the name that ends here", "", edge, "hosts: [\"*\"]", "DNS:shop.a.tld,IP:192.0.2.1", ""},
      {"no hosts", "", edge, "retries: 1", "DNS:*.a.tld",
       "1:1: warning: the certificate c.pem also covers \"*.a.tld\", which \"*\" passes through"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto snapshot =
        Folder()
            .certificate("certs/c.pem", row.sans)
            .file("gateway.yaml", row.gateway)
            .file("conf.d/edge.yaml", row.edge)
            .file("conf.d/pass.yaml", "mode: passthrough\nservers: [y:443]\n" + row.passthrough + "\n")
            .build();
    CHECK_FALSE(snapshot->config.has_errors());
    std::string said;
    for (const config::Fault& fault : snapshot->config.faults) {
      if (fault.service != "pass") continue;
      CHECK(fault.excerpt.size() >= static_cast<size_t>(fault.at.column));
      said += fault.text();
    }
    if (row.expected.empty()) {
      CHECK(said == "");
      continue;
    }
    CHECK(said.starts_with("conf.d/pass.yaml:" + row.expected +
                           ": browsers may send its requests over another service's HTTP/2 connection, and are "
                           "answered 421 then\n    "));
  }
}

TEST_CASE("warnings: certificates that are not in the folder cover hosts too") {
  const char* pass = "mode: passthrough\nhosts: [git.a.tld]\nservers: [y:443]\n";
  const auto fixed =
      Folder()
          .certificate("elsewhere/c.pem", "DNS:*.a.tld")
          .file("certs/note", "")
          .file("conf.d/edge.yaml", "mode: edge\nhosts: [shop.a.tld]\nservers: [x:80]\ncertificate: elsewhere/c.pem\n")
          .file("conf.d/pass.yaml", pass)
          .build();
  CHECK(texts(*fixed).find("also covers \"git.a.tld\", which is passed through") != std::string::npos);
  const auto by_default = Folder()
                              .certificate("elsewhere/c.pem", "DNS:*.a.tld")
                              .file("certs/note", "")
                              .file("gateway.yaml", "certificates: { default: elsewhere/c.pem }\n")
                              .file("conf.d/edge.yaml", "mode: edge\nhosts: [shop.a.tld]\nservers: [x:80]\n")
                              .file("conf.d/pass.yaml", pass)
                              .build();
  CHECK(texts(*by_default).find("also covers \"git.a.tld\", which is passed through") != std::string::npos);
}

TEST_CASE("reload: what did not change is the same object, in the same slot, with the same contexts") {
  Folder folder;
  folder.certificate("certs/a.pem", "DNS:a.tld,DNS:b.tld")
      .file("conf.d/a.yaml", "mode: edge\nhosts: [a.tld]\nservers: [10.0.0.1:80]\n")
      .file("conf.d/b.yaml", "mode: edge\nhosts: [b.tld]\nservers: [10.0.0.2:80, 10.0.0.3:80]\n")
      .file("conf.d/c.yaml", "mode: redirect\nhosts: [c.tld]\nredirect: { to: \"https://a.tld\" }\n");
  const auto first = folder.build();
  CHECK(texts(*first) == "");
  folder.file("conf.d/a.yaml", "# moved down\nmode: edge\nhosts: [a.tld]\nservers: [10.0.0.1:80]\n")
      .file("conf.d/b.yaml", "mode: edge\nhosts: [b.tld]\nservers: [10.0.0.2:80, 10.0.0.4:80]\n")
      .file("conf.d/d.yaml", "mode: edge\nhosts: [d.tld]\nservers: [10.0.0.5:80]\n");
  const auto second = folder.rebuild(*first);
  CHECK(second->service("a") == first->service("a"));
  CHECK(second->service("c") == first->service("c"));
  CHECK(second->service("b") != first->service("b"));
  CHECK(second->service("b")->stats == first->service("b")->stats);
  CHECK(upstream(*second, "b").endpoints[0] == upstream(*first, "b").endpoints[0]);
  CHECK(upstream(*second, "b").endpoints[1] != upstream(*first, "b").endpoints[1]);
  CHECK(second->tls_contexts_made == 0);
  for (const auto& service : second->services) {
    CHECK(second->slots[service->slot] == service.get());
    for (const auto& old : first->services)
      if (old != service) CHECK(old->slot != service->slot);
  }
  // What is free is used again.
  folder.remove("conf.d/b.yaml");
  folder.remove("conf.d/d.yaml");
  const auto third = folder.rebuild(*second);
  folder.file("conf.d/e.yaml", "mode: edge\nhosts: [e.tld]\nservers: [10.0.0.6:80]\n");
  const auto fourth = folder.rebuild(*third);
  CHECK(fourth->service("e")->slot < second->slots.size());
  CHECK(fourth->service("a") == first->service("a"));
}

TEST_CASE("reload: what a service is made of counts, not only what its file says") {
  Folder folder;
  folder.certificate("certs/servers.pem", "DNS:one")
      .file("conf.d/a.yaml",
            "mode: reencrypt\nhosts: [\"*\"]\nservers: [10.0.0.1:443]\nserver_tls: { ca: servers.pem }\n")
      .file("conf.d/b.yaml", "mode: tcp\nlisten: db\nservers: [10.0.0.1]\n")
      .file("gateway.yaml", "listeners: { db: { bind: \":5432\" } }\n");
  const auto first = folder.build();
  CHECK(texts(*first) == "");
  const auto same = folder.rebuild(*first);
  CHECK(same->service("a") == first->service("a"));
  CHECK(same->service("b") == first->service("b"));
  folder.certificate("certs/servers.pem", "DNS:two");
  const auto second = folder.rebuild(*first);
  CHECK(second->service("a") != first->service("a"));
  CHECK(second->service("b") == first->service("b"));
  CHECK(second->tls_contexts_made > 0);
  folder.file("gateway.yaml", "listeners: { db: { bind: \":5433\" } }\n");
  const auto third = folder.rebuild(*second);
  CHECK(third->service("b") != second->service("b"));
  CHECK(upstream(*third, "b").endpoints[0]->port() == 5433);
}

TEST_CASE("reload: a fault leaves the last good version, wherever it is found") {
  Folder folder;
  folder.certificate("certs/fixed.pem", "DNS:a.tld")
      .file("certs/ca.pem", "")
      .certificate("certs/ca.pem", "DNS:ca")
      .file("conf.d/a.yaml",
            "mode: edge\nhosts: [a.tld]\nservers: [10.0.0.1:80]\ncertificate: fixed.pem\n")
      .file("conf.d/b.yaml", "mode: edge\nhosts: [b.tld]\nservers: [10.0.0.1:80]\nclient_certificates: { ca: ca.pem }\n")
      .file("conf.d/c.yaml", "mode: http\nhosts: [c.tld]\nservers: [10.0.0.1:80]\n");
  const auto first = folder.build();
  CHECK_FALSE(first->config.has_errors());
  folder.file("conf.d/c.yaml", "mode: nonsense\n");
  folder.remove("certs/fixed.pem");
  const auto second = folder.rebuild(*first);
  CHECK(second->config.has_errors());
  CHECK(second->service("a") == first->service("a"));
  CHECK(second->service("c") == first->service("c"));
  CHECK(second->config.kept.size() == 2);
  const TlsHost* host = listener(*second, "https").tls.find("a.tld");
  REQUIRE(host != nullptr);
  CHECK(host->fixed == listener(*first, "https").tls.find("a.tld")->fixed);
  CHECK(listener(*second, "http").plain.find("c.tld") != nullptr);
  // And once more, from there.
  const auto third = folder.rebuild(*second);
  CHECK(third->service("a") == first->service("a"));
  CHECK(third->service("c") == first->service("c"));
  CHECK(third->config.kept.size() == 2);
}

TEST_CASE("reload: a default certificate that is none now leaves the certificates of before") {
  Folder folder;
  folder.certificate("certs/a.pem", "DNS:a.tld")
      .file("gateway.yaml", "certificates: { default: a.pem }\n")
      .file("conf.d/a.yaml", "mode: edge\nhosts: [a.tld]\nservers: [10.0.0.1:80]\n");
  const auto first = folder.build();
  CHECK_FALSE(first->config.gateway_faulty);
  folder.remove("certs/a.pem");
  folder.file("conf.d/b.yaml", "mode: http\nhosts: [b.tld]\nservers: [10.0.0.1:80]\n");
  const auto second = folder.rebuild(*first);
  CHECK(second->config.gateway_faulty);
  CHECK(second->certs == first->certs);
  CHECK(listener(*second, "https").tls.find("a.tld")->contexts->pick("a.tld") != nullptr);
  CHECK(second->service("b") != nullptr);
}

}  // namespace sallyport
