// Tickets of ours, and sessions of servers.
#include <algorithm>

#include "catch.h"
#include "holding.h"
#include "test_certificates.h"
#include "tls_pair.h"
#include "transport/ticket_keys.h"
#include "transport/tls_context.h"
#include "transport/upstream_sessions.h"

namespace sallyport {
namespace {

using test::make_certificate;
using test::TlsPair;
using Keys = std::shared_ptr<TicketKeys>;

struct World {
  test::Made root = make_certificate({.common_name = "Test Root", .ca = true});
  test::Made other_root = make_certificate({.common_name = "Other Root", .ca = true});
  test::Made leaf = make_certificate({.sans = "DNS:a.example.tld,DNS:b.example.tld"}, &root);
  test::Made client = make_certificate({.common_name = "client", .eku = "clientAuth"}, &root);
  test::TemporaryFolder folder;
  std::string ca = folder.write("ca.pem", test::pem(root.certificate));
  std::string both = folder.write("both.pem", test::pem(root.certificate) + test::pem(other_root.certificate));
  std::string crl = folder.write("crl.pem", test::crl_pem(root, {}));

  SslCtxPtr server(const Keys& keys, const ClientCertRule* rule = nullptr, std::string_view service = {}) const {
    KeyPair pair{leaf.certificate.get(), {}, leaf.key.get()};
    auto context = make_server_context({{}, {&pair, 1}, rule, {}, service, keys});
    if (!context) FAIL(context.error().text());
    return *context;
  }
  SslCtxPtr upstream(const std::string& ca_file = {}, bool with_certificate = false) const {
    KeyPair pair{client.certificate.get(), {}, client.key.get()};
    auto context = make_upstream_context({ca_file, !ca_file.empty(), with_certificate ? &pair : nullptr, {}});
    if (!context) FAIL(context.error().text());
    return *context;
  }
};
const World& world() {
  static const World made;
  return made;
}

// One connection through a cache; what it was, in a word.
std::string connect(UpstreamSessions& sessions, const SslCtxPtr& client, const SslCtxPtr& server, int version,
                    const char* endpoint = "192.0.2.1:443", const char* name = "a.example.tld") {
  TlsPair pair(client.get(), server.get());
  SSL_set_max_proto_version(pair.client.get(), version);
  if (!set_upstream_name(pair.client.get(), name).ok()) return "bad name";
  sessions.attach(pair.client.get(), endpoint);
  if (!pair.handshake()) return "failed: " + pair.client_error + " / " + pair.server_error;
  return pair.resumed() ? "resumed" : "full";
}

}  // namespace

TEST_CASE("tickets: a session resumes in TLS 1.2 and 1.3, again and again, and across contexts with the same keys") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    auto keys = std::make_shared<TicketKeys>();
    UpstreamSessions sessions;
    SslCtxPtr client = world().upstream(world().ca);
    SslCtxPtr before = world().server(keys);
    CHECK(connect(sessions, client, before, version) == "full");
    CHECK(connect(sessions, client, before, version) == "resumed");
    CHECK(connect(sessions, client, before, version) == "resumed");
    SslCtxPtr after = world().server(keys);
    before.reset();
    CHECK(connect(sessions, client, after, version) == "resumed");
    CHECK(connect(sessions, client, world().server(std::make_shared<TicketKeys>()), version) == "full");
    CHECK(connect(sessions, client, world().server(nullptr), version) == "full");
  }
}

TEST_CASE("tickets: they live through one rotation of the keys, not through two, and are renewed in time") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    auto keys = std::make_shared<TicketKeys>();
    SslCtxPtr server = world().server(keys);
    SslCtxPtr client = world().upstream();
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(nullptr, SSL_SESSION_free);
    auto resumes = [&] {
      TlsPair pair(client.get(), server.get());
      SSL_set_max_proto_version(pair.client.get(), version);
      if (session != nullptr) SSL_set_session(pair.client.get(), session.get());
      REQUIRE(pair.handshake());
      session.reset(SSL_get1_session(pair.client.get()));
      return pair.resumed();
    };
    CHECK(!resumes());
    keys->rotate();
    CHECK(resumes());
    keys->rotate();
    CHECK(resumes());  // with a ticket renewed under the key that is now the previous one
    keys->rotate();
    keys->rotate();
    CHECK(!resumes());
  }
}

TEST_CASE("tickets: none resumes under another client-certificate rule") {
  struct Row {
    const char* what;
    ClientCertRule first, second;
    bool has_first, has_second;
    const char* then;
  };
  ClientCertRule required{world().ca, true, {}};
  ClientCertRule optional{world().ca, false, {}};
  ClientCertRule wider{world().both, true, {}};
  ClientCertRule revoking{world().ca, true, world().crl};
  for (const Row& row : {Row{"same rule", required, required, true, true, "resumed"},
                         Row{"from none to required", {}, required, false, true, "full"},
                         Row{"from required to none", required, {}, true, false, "full"},
                         Row{"from optional to required", optional, required, true, true, "full"},
                         Row{"from another CA", wider, required, true, true, "full"},
                         Row{"from no list to a list", required, revoking, true, true, "full"}}) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(row.what, version);
      auto keys = std::make_shared<TicketKeys>();
      SslCtxPtr first = world().server(keys, row.has_first ? &row.first : nullptr);
      SslCtxPtr second = world().server(keys, row.has_second ? &row.second : nullptr);
      SslCtxPtr client = world().upstream(world().ca, true);
      UpstreamSessions sessions;
      CHECK(connect(sessions, client, first, version) == "full");
      CHECK(connect(sessions, client, second, version) == row.then);
    }
  }
}

TEST_CASE("tickets: a client without a certificate does not get past a rule with another's ticket") {
  ClientCertRule optional{world().ca, false, {}};
  ClientCertRule required{world().ca, true, {}};
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto keys = std::make_shared<TicketKeys>();
    UpstreamSessions sessions;
    SslCtxPtr client = world().upstream(world().ca);
    CHECK(connect(sessions, client, world().server(keys, &optional), version) == "full");
    CHECK_THAT(connect(sessions, client, world().server(keys, &required), version),
               Catch::Matchers::StartsWith("failed"));
  }
}

TEST_CASE("tickets: a changed CA file or CRL file ends resumption, as does another service's own context") {
  const test::TemporaryFolder folder;
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    ClientCertRule rule{folder.write("ca.pem", test::pem(world().root.certificate)), true,
                        folder.write("crl.pem", test::crl_pem(world().root, {}))};
    auto keys = std::make_shared<TicketKeys>();
    SslCtxPtr client = world().upstream(world().ca, true);
    UpstreamSessions sessions;
    CHECK(connect(sessions, client, world().server(keys, &rule), version) == "full");
    CHECK(connect(sessions, client, world().server(keys, &rule), version) == "resumed");
    folder.write("crl.pem", test::crl_pem(world().root, {world().client.certificate.get()}));
    CHECK_THAT(connect(sessions, client, world().server(keys, &rule), version), test::holding("revoked"));

    UpstreamSessions others;
    CHECK(connect(others, client, world().server(keys, nullptr, "one"), version) == "full");
    CHECK(connect(others, client, world().server(keys, nullptr, "two"), version) == "full");
  }
}

TEST_CASE("tickets: one per TLS 1.3 handshake, and it says how long it is good") {
  SslCtxPtr server = world().server(std::make_shared<TicketKeys>());
  SslCtxPtr client = world().upstream();
  UpstreamSessions sessions;
  CHECK(connect(sessions, client, server, TLS1_3_VERSION) == "full");
  CHECK(sessions.sessions() == 1);
  TlsPair pair(client.get(), server.get());
  REQUIRE(pair.handshake());
  auto lifetime = SSL_SESSION_get_ticket_lifetime_hint(SSL_get_session(pair.client.get()));
  CHECK(lifetime == static_cast<unsigned long>(std::chrono::seconds(kTicketLifetime).count()));
  CHECK(SSL_SESSION_get_max_early_data(SSL_get_session(pair.client.get())) == 0);
}

TEST_CASE("upstream sessions: kept apart by server, by name, and by what is trusted") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    SslCtxPtr server = world().server(std::make_shared<TicketKeys>());
    SslCtxPtr client = world().upstream(world().ca);
    UpstreamSessions sessions;
    CHECK(connect(sessions, client, server, version) == "full");
    CHECK(connect(sessions, client, server, version, "192.0.2.2:443") == "full");
    CHECK(connect(sessions, client, server, version, "192.0.2.1:443", "b.example.tld") == "full");
    CHECK(sessions.servers() == 3);
    CHECK(connect(sessions, client, server, version) == "resumed");
    CHECK(connect(sessions, client, server, version, "192.0.2.1:443", "b.example.tld") == "resumed");
    // A session made without looking at the certificate never stands in for one that was verified, nor the other way.
    SslCtxPtr careless = world().upstream();
    UpstreamSessions fresh;
    CHECK(connect(fresh, careless, server, version) == "full");
    CHECK(connect(fresh, client, server, version) == "full");
    CHECK(connect(fresh, world().upstream(world().both), server, version) == "full");
    // The same settings made again, as a reload does, go on where they were.
    CHECK(connect(fresh, world().upstream(world().ca), server, version) == "resumed");
  }
}

TEST_CASE("upstream sessions: kept apart by the protocols that are offered") {
  using Names = std::vector<std::string_view>;
  const KeyPair pair{world().leaf.certificate.get(), {}, world().leaf.key.get()};
  const Names either{"h2", "http/1.1"}, h2{"h2"}, http1{"http/1.1"};
  const auto keys = std::make_shared<TicketKeys>();
  const auto server = make_server_context({{}, {&pair, 1}, nullptr, either, "http", keys});
  REQUIRE(server);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    UpstreamSessions sessions;
    std::vector<std::string> identities;
    for (const Names& alpn : {either, h2, http1, Names{}}) {
      const auto client = make_upstream_context({world().ca, true, nullptr, alpn});
      REQUIRE(client);
      CHECK(connect(sessions, *client, *server, version) == "full");
      CHECK(connect(sessions, *client, *server, version) == "resumed");
      const auto again = make_upstream_context({world().ca, true, nullptr, alpn});
      REQUIRE(again);
      CHECK(connect(sessions, *again, *server, version) == "resumed");
      identities.emplace_back(upstream_identity(client->get()));
    }
    std::sort(identities.begin(), identities.end());
    CHECK(std::unique(identities.begin(), identities.end()) == identities.end());
  }
}

TEST_CASE("tickets: the protocol is agreed on anew when a session is resumed") {
  using Names = std::vector<std::string_view>;
  const KeyPair pair{world().leaf.certificate.get(), {}, world().leaf.key.get()};
  const Names either{"h2", "http/1.1"}, http1{"http/1.1"};
  const auto keys = std::make_shared<TicketKeys>();
  const auto both = make_server_context({{}, {&pair, 1}, nullptr, either, "http", keys});
  const auto old = make_server_context({{}, {&pair, 1}, nullptr, http1, "http", keys});
  const auto client = make_upstream_context({world().ca, true, nullptr, either});
  REQUIRE((both && old && client));
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    UpstreamSessions sessions;
    const auto agreed = [&](const SslCtxPtr& server) {
      TlsPair two(client->get(), server.get());
      SSL_set_max_proto_version(two.client.get(), version);
      REQUIRE(set_upstream_name(two.client.get(), "a.example.tld"));
      sessions.attach(two.client.get(), "192.0.2.1:443");
      REQUIRE(two.handshake());
      return two.alpn() + (two.resumed() ? " resumed" : " full");
    };
    CHECK(agreed(*both) == "h2 full");
    CHECK(agreed(*old) == "http/1.1 resumed");
    CHECK(agreed(*both) == "h2 resumed");
    CHECK(agreed(*both) == "h2 resumed");
  }
}

TEST_CASE("upstream sessions: bounded in servers and in sessions, and an SSL may outlive them") {
  SslCtxPtr server = world().server(std::make_shared<TicketKeys>());
  SslCtxPtr client = world().upstream();
  auto sessions = std::make_unique<UpstreamSessions>(2);
  for (const char* endpoint : {"1", "2", "1", "3"}) connect(*sessions, client, server, TLS1_3_VERSION, endpoint);
  CHECK(sessions->servers() == 2);
  CHECK(connect(*sessions, client, server, TLS1_3_VERSION, "1") == "resumed");
  CHECK(connect(*sessions, client, server, TLS1_3_VERSION, "2") == "full");

  std::vector<std::unique_ptr<TlsPair>> open;
  for (int i = 0; i < 8; ++i) {
    open.push_back(std::make_unique<TlsPair>(client.get(), server.get()));
    REQUIRE(set_upstream_name(open.back()->client.get(), "a.example.tld").ok());
    sessions->attach(open.back()->client.get(), "9");
    REQUIRE(open.back()->handshake());
  }
  CHECK(sessions->sessions() <= 8);
  auto late = std::make_unique<TlsPair>(client.get(), server.get());
  sessions->attach(late->client.get(), "9");
  sessions.reset();
  CHECK(late->handshake());
}

TEST_CASE("ticket keys: the current and the previous one are found, older ones are not") {
  TicketKeys keys;
  TicketKeys::Key first = keys.current();
  TicketKeys::Key found;
  CHECK(keys.find(first.name.data(), found) == TicketKeys::Found::current);
  CHECK(found.cipher == first.cipher);
  keys.rotate();
  CHECK(keys.current().name != first.name);
  CHECK(keys.find(first.name.data(), found) == TicketKeys::Found::previous);
  CHECK(found.mac == first.mac);
  keys.rotate();
  CHECK(keys.find(first.name.data(), found) == TicketKeys::Found::none);
}

}  // namespace sallyport
