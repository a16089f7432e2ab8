// One TLS context for what is the same, another for what is not; and what each agrees on.
#include "runtime/context_builder.h"

#include <set>

#include "catch.h"
#include "test_certificates.h"
#include "tests/unit/transport/tls_pair.h"

namespace sallyport {
namespace {

using test::make_certificate;
using test::TlsPair;

struct World {
  test::TemporaryFolder folder;
  test::Made root = make_certificate({.common_name = "Test Root", .ca = true});
  std::string ca = folder.write("root.pem", test::pem(root.certificate));

  World() {
    for (const char* name : {"a", "b"}) {
      const test::Made leaf =
          make_certificate({.sans = "DNS:" + std::string(name) + ".tld,DNS:www." + name + ".tld"}, &root);
      folder.write("certs/" + std::string(name) + ".pem", test::pem(leaf.certificate) + test::pem(leaf.key));
    }
  }
};
const World& world() {
  static const World made;
  return made;
}

struct Contexts {
  config::CertificateSettings settings;
  std::shared_ptr<const CertStore> certs = CertStore::load(world().folder.path() / "certs");
  ContextBuilder builder{settings, certs, std::make_shared<TicketKeys>()};

  SSL_CTX* server(const char* name, Alpn alpn, const config::ClientCertificates& rule = {}) {
    auto made = builder.server(certs->match(name), rule, alpn);
    if (!made) FAIL(made.error().text());
    return made->get();
  }
  SSL_CTX* upstream(Alpn alpn, const config::ServerTls& tls = {}) {
    auto made = builder.upstream(tls, alpn);
    if (!made) FAIL(made.error().text());
    return made->get();
  }
};

// What the two agree on; "-" if the handshake fails.
std::string agreed(SSL_CTX* client, SSL_CTX* server) {
  TlsPair pair(client, server);
  return pair.handshake() ? pair.alpn() : "-";
}

SslCtxPtr client_that_offers(std::vector<std::string_view> alpn) {
  auto made = make_upstream_context({"", false, nullptr, alpn});
  if (!made) FAIL(made.error().text());
  return *made;
}

}  // namespace

TEST_CASE("server contexts: one for each certificate set, rule and set of protocols") {
  Contexts contexts;
  config::ClientCertificates required{world().ca, config::Verify::required, {}};
  config::ClientCertificates optional{world().ca, config::Verify::optional, {}};
  std::set<SSL_CTX*> seen;
  for (const char* name : {"a.tld", "b.tld"})
    for (const auto& rule : {config::ClientCertificates(), required, optional})
      for (Alpn alpn : {Alpn::none, Alpn::http1, Alpn::either}) {
        SSL_CTX* made = contexts.server(name, alpn, rule);
        CHECK(contexts.server(name, alpn, rule) == made);
        CHECK(contexts.server(("www." + std::string(name)).c_str(), alpn, rule) == made);
        seen.insert(made);
      }
  CHECK(seen.size() == 2 * 3 * (ContextBuilder::kOfferH2ToClients ? 3 : 2));
}

TEST_CASE("server contexts: tables share what they hold") {
  Contexts contexts;
  auto http1 = contexts.builder.table({}, Alpn::http1);
  auto either = contexts.builder.table({}, Alpn::either);
  auto none = contexts.builder.table({}, Alpn::none);
  REQUIRE((http1 && either && none));
  for (const char* name : {"a.tld", "b.tld"}) {
    CHECK((*http1)->pick(name) == contexts.server(name, Alpn::http1));
    CHECK((*http1)->pick("www." + std::string(name)) == (*http1)->pick(name));
    CHECK((*either)->pick(name) == contexts.server(name, Alpn::either));
    CHECK((*none)->pick(name) == contexts.server(name, Alpn::none));
  }
  CHECK((*http1)->pick("a.tld") != (*http1)->pick("b.tld"));
  CHECK((*http1)->pick("a.tld") != (*none)->pick("a.tld"));
  CHECK((*http1)->pick("c.tld") == nullptr);
}

TEST_CASE("server contexts: HTTP/2 goes before HTTP/1.1 where it is on, and there is none where it is off") {
  Contexts contexts;
  const std::string best = ContextBuilder::kOfferH2ToClients ? "h2" : "http/1.1";
  const SslCtxPtr both = client_that_offers({"http/1.1", "h2"});
  const SslCtxPtr old = client_that_offers({"http/1.1"});
  const SslCtxPtr silent = client_that_offers({});
  CHECK(agreed(both.get(), contexts.server("a.tld", Alpn::either)) == best);
  CHECK(agreed(old.get(), contexts.server("a.tld", Alpn::either)) == "http/1.1");
  CHECK(agreed(silent.get(), contexts.server("a.tld", Alpn::either)) == "");
  CHECK(agreed(both.get(), contexts.server("a.tld", Alpn::http1)) == "http/1.1");
  CHECK(agreed(client_that_offers({"h2"}).get(), contexts.server("a.tld", Alpn::http1)) == "-");
  CHECK(agreed(both.get(), contexts.server("a.tld", Alpn::none)) == "");
}

TEST_CASE("upstream contexts: one for each set of protocols, and it offers these") {
  Contexts contexts;
  CHECK(contexts.upstream(Alpn::http1) == contexts.upstream(Alpn::http1));
  std::set<SSL_CTX*> seen;
  std::set<std::string_view> identities;
  for (Alpn alpn : {Alpn::none, Alpn::http1, Alpn::h2, Alpn::either}) {
    seen.insert(contexts.upstream(alpn));
    identities.insert(upstream_identity(contexts.upstream(alpn)));
  }
  CHECK(seen.size() == (ContextBuilder::kOfferH2ToServers ? 4 : 3));
  CHECK(identities.size() == seen.size());  // what has another context resumes no session of this one

  config::ServerTls careless;
  careless.verify = config::Verify::none;
  const KeyPair pair{contexts.certs->all()[0]->leaf.get(), {}, contexts.certs->all()[0]->key.get()};
  const std::string_view h2[] = {"h2"}, http1[] = {"http/1.1"}, both[] = {"h2", "http/1.1"};
  const auto with = [&](std::span<const std::string_view> alpn) {
    return *make_server_context({{}, {&pair, 1}, nullptr, alpn, "", nullptr});
  };
  const auto says = [&](Alpn alpn, std::span<const std::string_view> server) {
    return agreed(contexts.upstream(alpn, careless), with(server).get());
  };
  CHECK(says(Alpn::either, both) == (ContextBuilder::kOfferH2ToServers ? "h2" : "http/1.1"));
  CHECK(says(Alpn::either, http1) == "http/1.1");
  CHECK(says(Alpn::h2, both) == "h2");
  CHECK(says(Alpn::h2, http1) == "-");
  CHECK(says(Alpn::http1, both) == "http/1.1");
  CHECK(says(Alpn::http1, h2) == "-");
  CHECK(says(Alpn::none, h2) == "");
}

}  // namespace sallyport
