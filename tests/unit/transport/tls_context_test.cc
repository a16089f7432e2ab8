#include "transport/tls_context.h"

#include <algorithm>
#include <cstring>

#include "catch.h"
#include "holding.h"
#include "metrics/counters.h"
#include "test_certificates.h"
#include "tls_pair.h"
#include "transport/ticket_keys.h"

namespace sallyport {
namespace {

using test::Algorithm;
using test::make_certificate;
using test::TlsPair;
using Names = std::vector<std::string_view>;

const test::Made& root() {
  static const test::Made made = make_certificate({.common_name = "Test Root", .ca = true});
  return made;
}
const test::Made& server_leaf() {
  static const test::Made made = make_certificate(
      {.common_name = "a", .sans = "DNS:a.example.tld,DNS:*.wild.example.tld,IP:192.0.2.1,IP:2001:db8::1"}, &root());
  return made;
}

KeyPair pair_of(const test::Made& made) { return {made.certificate.get(), {}, made.key.get()}; }

SslCtxPtr server_context(const test::Made& made, Names alpn = {}, TlsPolicy policy = {},
                         std::shared_ptr<const TicketKeys> keys = nullptr, const ClientCertRule* rule = nullptr) {
  KeyPair pair = pair_of(made);
  auto context = make_server_context({policy, {&pair, 1}, rule, alpn, "", keys});
  if (!context) FAIL(context.error().text());
  return *context;
}

SslCtxPtr client_context(const std::string& ca, Names alpn = {}, const KeyPair* pair = nullptr) {
  auto context = make_upstream_context({ca, !ca.empty(), pair, alpn});
  if (!context) FAIL(context.error().text());
  return *context;
}

struct Files {
  test::TemporaryFolder folder;
  std::string ca = folder.write("ca.pem", test::pem(root().certificate));
};
const Files& files() {
  static const Files made;
  return made;
}

// A client as the world has them: not made by us, trusting the test root.
SslCtxPtr foreign_client() {
  SslCtxPtr context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT);
  return context;
}

}  // namespace

TEST_CASE("server context: the name in the hello must be the one that was routed by") {
  struct Row {
    const char* sent;    // nullptr: no extension
    const char* routed;  // nullptr: never set
    bool fine;
  };
  SslCtxPtr server = server_context(server_leaf());
  SslCtxPtr client = foreign_client();
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const Row& row : {Row{"a.example.tld", "a.example.tld", true}, Row{"A.Example.TLD", "a.example.tld", true},
                           Row{"a.example.tld.", "a.example.tld", true}, Row{"a.example.tld", "b.example.tld", false},
                           Row{"a.example.tld", "", false}, Row{nullptr, "a.example.tld", false},
                           Row{nullptr, "", true}, Row{"192.0.2.1", "", true}, Row{"2001:db8::1", "", true},
                           Row{"192.0.2.1", "a.example.tld", false}, Row{"a.example.tl", "a.example.tld", false},
                           Row{"a b", "", false}, Row{"a b", "a b", false}, Row{"anything", nullptr, true}}) {
      CAPTURE(version, row.sent, row.routed);
      TlsPair pair(client.get(), server.get());
      SSL_set_max_proto_version(pair.client.get(), version);
      if (row.sent != nullptr) SSL_set_tlsext_host_name(pair.client.get(), row.sent);
      if (row.routed != nullptr) set_routed_sni(pair.server.get(), row.routed);
      CHECK(pair.handshake() == row.fine);
      if (row.fine) continue;
      CHECK(pair.server_reason == "unrecognized_name");
      CHECK(pair.client_reason == "unrecognized_name");
      CHECK(pair.client_error == "the peer sent an alert: unrecognized name");
    }
  }
}

TEST_CASE("server context: ALPN follows our order, and no overlap ends the handshake") {
  struct Row {
    Names ours;
    Names theirs;
    bool fine;
    const char* agreed;
  };
  for (const Row& row :
       {Row{{"http/1.1"}, {"h2", "http/1.1"}, true, "http/1.1"},
        Row{{"h2", "http/1.1"}, {"http/1.1", "h2"}, true, "h2"},
        Row{{"h2", "http/1.1"}, {"http/1.1"}, true, "http/1.1"}, Row{{"http/1.1"}, {"h2"}, false, ""},
        Row{{"http/1.1"}, {"http/1.0", "http/1.1x"}, false, ""}, Row{{"http/1.1"}, {}, true, ""},
        Row{{"http/1.1"}, {"acme-tls/1"}, false, ""}, Row{{"http/1.1"}, {"acme-tls/1", "http/1.1"}, true, "http/1.1"},
        Row{{}, {"imap"}, true, ""}, Row{{}, {"acme-tls/1", "imap"}, true, ""}, Row{{}, {"acme-tls/1"}, false, ""}}) {
    CAPTURE(row.ours, row.theirs);
    SslCtxPtr server = server_context(server_leaf(), row.ours);
    SslCtxPtr client = client_context("", row.theirs);
    TlsPair pair(client.get(), server.get());
    REQUIRE(pair.handshake() == row.fine);
    CHECK(pair.alpn() == row.agreed);
    if (!row.fine) CHECK(pair.client_reason == "no_application_protocol");
    if (!row.fine) CHECK(pair.server_reason == "no_application_protocol");
  }
}

TEST_CASE("server context: h2 is not agreed on under a cipher that HTTP/2 forbids") {
  struct Row {
    const char* ciphers;
    Names theirs;
    const char* agreed;  // nullptr: the handshake fails
  };
  const test::Made rsa = make_certificate({.sans = "DNS:a.example.tld", .algorithm = Algorithm::rsa2048}, &root());
  for (const Row& row : {Row{"ECDHE-RSA-AES128-GCM-SHA256", {"h2", "http/1.1"}, "h2"},
                         Row{"ECDHE-RSA-CHACHA20-POLY1305", {"h2", "http/1.1"}, "h2"},
                         Row{"ECDHE-RSA-AES128-SHA256", {"h2", "http/1.1"}, "http/1.1"},  // CBC
                         Row{"ECDHE-RSA-AES256-SHA", {"http/1.1", "h2"}, "http/1.1"},
                         Row{"AES128-GCM-SHA256", {"h2", "http/1.1"}, "http/1.1"},  // no forward secrecy
                         Row{"AES128-GCM-SHA256", {"http/1.1"}, "http/1.1"}, Row{"AES128-GCM-SHA256", {}, ""},
                         Row{"ECDHE-RSA-AES256-SHA", {"h2"}, nullptr},
                         // What is agreed on decides, not what is in the list.
                         Row{"ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256", {"h2", "http/1.1"}, "http/1.1"},
                         Row{"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA", {"h2", "http/1.1"}, "h2"}}) {
    CAPTURE(row.ciphers, row.theirs);
    auto keys = std::make_shared<TicketKeys>();
    SslCtxPtr server = server_context(rsa, {"h2", "http/1.1"}, {.ciphers = row.ciphers}, keys);
    SslCtxPtr client = client_context("", row.theirs);
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(nullptr, SSL_SESSION_free);
    for (const bool resumed : {false, true}) {
      TlsPair pair(client.get(), server.get());
      SSL_set_max_proto_version(pair.client.get(), TLS1_2_VERSION);
      if (session) SSL_set_session(pair.client.get(), session.get());
      REQUIRE(pair.handshake() == (row.agreed != nullptr));
      if (row.agreed == nullptr) {
        CHECK(pair.client_reason == "no_application_protocol");
        break;
      }
      CHECK(pair.resumed() == resumed);
      CHECK(pair.alpn() == row.agreed);
      session.reset(SSL_get1_session(pair.client.get()));
    }
    if (row.theirs != Names{"h2", "http/1.1"}) continue;
    TlsPair newer(client.get(), server.get());  // the suites of TLS 1.3 are all good
    REQUIRE(newer.handshake());
    CHECK(newer.alpn() == "h2");
  }
}

TEST_CASE("server context: min_version 1.3 refuses TLS 1.2, and 1.2 refuses older") {
  struct Row {
    const char* minimum;
    int client;
    bool fine;
  };
  for (const Row& row :
       {Row{"1.2", TLS1_2_VERSION, true}, Row{"1.2", TLS1_3_VERSION, true}, Row{"1.3", TLS1_2_VERSION, false},
        Row{"1.3", TLS1_3_VERSION, true}, Row{"1.2", TLS1_1_VERSION, false}}) {
    CAPTURE(row.minimum, row.client);
    SslCtxPtr server = server_context(server_leaf(), {}, {.min_version = row.minimum});
    SslCtxPtr client = foreign_client();
    SSL_CTX_set_cipher_list(client.get(), "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(client.get(), row.client);
    SSL_CTX_set_max_proto_version(client.get(), row.client);
    TlsPair pair(client.get(), server.get());
    CHECK(pair.handshake() == row.fine);
    if (!row.fine) CHECK(pair.server_reason == "protocol_version");
    if (row.fine) CHECK(pair.version() == row.client);
  }
}

TEST_CASE("policy: what the library does not take is named") {
  struct Row {
    TlsPolicy policy;
    const char* says;  // "": it is taken
  };
  for (const Row& row :
       {Row{{}, ""}, Row{{.min_version = "1.1"}, "min_version"}, Row{{.ciphers = "NO-SUCH"}, "ciphers: "},
        Row{{.ciphersuites = "TLS_NO_SUCH"}, "ciphersuites: "}, Row{{.groups = "P-256:nonsense"}, "groups: "},
        Row{{.ciphers = "ECDHE-RSA-AES256-GCM-SHA384", .groups = "P-384"}, ""}}) {
    auto taken = check_policy(row.policy);
    CAPTURE(row.says);
    CHECK(taken.ok() == (*row.says == '\0'));
    if (!taken) CHECK_THAT(taken.error().text(), Catch::Matchers::StartsWith(row.says));
    if (!taken) CHECK(taken.error().text().size() > std::strlen(row.says));
    if (!taken) CHECK(taken.error().kind == Kind::config);
  }
}

TEST_CASE("server context: a short key, and a key of another certificate, are refused with words") {
  test::Made weak = make_certificate({.sans = "DNS:weak.example.tld", .algorithm = Algorithm::rsa1024});
  KeyPair pair = pair_of(weak);
  auto context = make_server_context({{}, {&pair, 1}, nullptr, {}, "", nullptr});
  REQUIRE(!context.ok());
  CHECK_THAT(context.error().text(), test::holding("key too small"));
  KeyPair crossed{server_leaf().certificate.get(), {}, weak.key.get()};
  CHECK(!make_server_context({{}, {&crossed, 1}, nullptr, {}, "", nullptr}).ok());
}

TEST_CASE("server context: ECDSA and RSA side by side, chosen by what the client can verify") {
  test::Made rsa = make_certificate({.sans = "DNS:a.example.tld", .algorithm = Algorithm::rsa2048}, &root());
  KeyPair pairs[] = {pair_of(server_leaf()), pair_of(rsa)};
  auto server = make_server_context({{}, pairs, nullptr, {}, "", nullptr});
  REQUIRE(server.ok());
  struct Row {
    const char* algorithms;
    int version;
    int expected;
  };
  for (const Row& row : {Row{"ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256", TLS1_3_VERSION, EVP_PKEY_EC},
                         Row{"RSA-PSS+SHA256:RSA+SHA256", TLS1_3_VERSION, EVP_PKEY_RSA},
                         Row{"ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256", TLS1_2_VERSION, EVP_PKEY_EC},
                         Row{"RSA-PSS+SHA256:RSA+SHA256", TLS1_2_VERSION, EVP_PKEY_RSA}}) {
    CAPTURE(row.algorithms, row.version);
    SslCtxPtr client = foreign_client();
    SSL_CTX_set1_sigalgs_list(client.get(), row.algorithms);
    SSL_CTX_set_max_proto_version(client.get(), row.version);
    TlsPair pair(client.get(), server->get());
    REQUIRE(pair.handshake());
    CHECK(pair.server_key_type() == row.expected);
  }
}

TEST_CASE("server context: the chain that was given is sent, and no more") {
  test::Made middle = make_certificate({.common_name = "Middle", .ca = true}, &root());
  test::Made leaf = make_certificate({.sans = "DNS:a.example.tld"}, &middle);
  X509* chain[] = {middle.certificate.get()};
  for (size_t sent : {size_t{0}, size_t{1}}) {
    KeyPair pair{leaf.certificate.get(), {chain, sent}, leaf.key.get()};
    auto server = make_server_context({{}, {&pair, 1}, nullptr, {}, "", nullptr});
    REQUIRE(server.ok());
    SslCtxPtr client = client_context(files().ca);
    TlsPair tls(client.get(), server->get());
    REQUIRE(set_upstream_name(tls.client.get(), "a.example.tld").ok());
    CHECK(tls.handshake() == (sent == 1));
    if (sent == 1) CHECK(sk_X509_num(SSL_get_peer_cert_chain(tls.client.get())) == 2);
    if (sent == 0) CHECK(tls.client_reason == "certificate_unknown_ca");
  }
}

TEST_CASE("server context: the CAs that clients are held to do not slip into our own chain") {
  ClientCertRule rule{files().ca, false, {}};
  SslCtxPtr server = server_context(server_leaf(), {}, {}, nullptr, &rule);
  SslCtxPtr client = client_context(files().ca);
  TlsPair pair(client.get(), server.get());
  REQUIRE(set_upstream_name(pair.client.get(), "a.example.tld").ok());
  REQUIRE(pair.handshake());
  CHECK(sk_X509_num(SSL_get_peer_cert_chain(pair.client.get())) == 1);
}

TEST_CASE("upstream: the server is verified by the name asked for") {
  test::Made cn_only = make_certificate({.common_name = "a.example.tld"}, &root());
  test::Made cn_and_ip = make_certificate({.common_name = "a.example.tld", .sans = "IP:192.0.2.9"}, &root());
  test::Made partial = make_certificate({.sans = "DNS:a*.example.tld"}, &root());
  test::Made expired = make_certificate({.sans = "DNS:a.example.tld", .from_days = -10, .to_days = -2}, &root());
  test::Made future = make_certificate({.sans = "DNS:a.example.tld", .from_days = 2}, &root());
  test::Made stranger = make_certificate({.common_name = "Test Root", .ca = true});
  test::Made strange = make_certificate({.sans = "DNS:a.example.tld"}, &stranger);
  test::Made own = make_certificate({.sans = "DNS:a.example.tld"});
  test::Made clients = make_certificate({.sans = "DNS:a.example.tld", .eku = "clientAuth"}, &root());
  struct Row {
    const char* what;
    const test::Made* server;
    const char* name;
    const char* reason;  // "": verified
    const char* sni;     // what the server sees; nullptr: none
  };
  for (const Row& row :
       {Row{"exact", &server_leaf(), "a.example.tld", "", "a.example.tld"},
        Row{"upper case and dot", &server_leaf(), "A.example.tld.", "", "A.example.tld"},
        Row{"wildcard", &server_leaf(), "x.wild.example.tld", "", "x.wild.example.tld"},
        Row{"wildcard, two labels", &server_leaf(), "x.y.wild.example.tld", "certificate_name_mismatch", nullptr},
        Row{"other name", &server_leaf(), "b.example.tld", "certificate_name_mismatch", nullptr},
        Row{"IPv4", &server_leaf(), "192.0.2.1", "", nullptr},
        Row{"IPv6", &server_leaf(), "[2001:db8::1]", "", nullptr},
        Row{"IPv6, long", &server_leaf(), "2001:db8:0::1", "", nullptr},
        Row{"other IP", &server_leaf(), "192.0.2.2", "certificate_name_mismatch", nullptr},
        Row{"CN only", &cn_only, "a.example.tld", "certificate_name_mismatch", nullptr},
        Row{"CN beside an IP SAN", &cn_and_ip, "a.example.tld", "certificate_name_mismatch", nullptr},
        Row{"partial wildcard", &partial, "ab.example.tld", "certificate_name_mismatch", nullptr},
        Row{"expired", &expired, "a.example.tld", "certificate_expired", nullptr},
        Row{"not yet valid", &future, "a.example.tld", "certificate_expired", nullptr},
        Row{"another CA of that name", &strange, "a.example.tld", "certificate_unknown_ca", nullptr},
        Row{"self-signed", &own, "a.example.tld", "certificate_unknown_ca", nullptr},
        Row{"a client's certificate", &clients, "a.example.tld", "certificate_verify", nullptr}}) {
    CAPTURE(row.what);
    SslCtxPtr server = server_context(*row.server);
    SslCtxPtr client = client_context(files().ca);
    TlsPair pair(client.get(), server.get());
    REQUIRE(set_upstream_name(pair.client.get(), row.name).ok());
    CAPTURE(pair.client_error);
    CHECK(pair.handshake() == (*row.reason == '\0'));
    CHECK(pair.client_reason == row.reason);
    if (*row.reason != '\0') {
      CHECK_THAT(pair.client_error, Catch::Matchers::StartsWith("certificate verify failed: "));
      CHECK(pair.server_reason.substr(0, 4) != "cut");
      continue;
    }
    const char* seen = SSL_get_servername(pair.server.get(), TLSEXT_NAMETYPE_host_name);
    CHECK(std::string(seen == nullptr ? "" : seen) == std::string(row.sni == nullptr ? "" : row.sni));
  }
}

TEST_CASE("upstream: verify none takes any certificate, and a name that is none is refused") {
  test::Made own = make_certificate({.common_name = "pve"});
  SslCtxPtr server = server_context(own);
  SslCtxPtr client = client_context("");
  TlsPair pair(client.get(), server.get());
  REQUIRE(set_upstream_name(pair.client.get(), "a.example.tld").ok());
  CHECK(pair.handshake());
  for (const char* name : {"", "a b", "*.example.tld", "a..b", "10.0.0.1:443"}) {
    CAPTURE(name);
    TlsPair other(client.get(), server.get());
    CHECK(!set_upstream_name(other.client.get(), name).ok());
  }
}

TEST_CASE("upstream: a CA file may hold an intermediate, or the server's own certificate") {
  test::Made middle = make_certificate({.common_name = "Middle", .ca = true}, &root());
  test::Made leaf = make_certificate({.sans = "DNS:a.example.tld"}, &middle);
  SslCtxPtr server = server_context(leaf);
  const test::TemporaryFolder folder;
  for (const auto& [what, text, fine] : {std::tuple("intermediate", test::pem(middle.certificate), true),
                                         std::tuple("leaf", test::pem(leaf.certificate), true),
                                         std::tuple("another leaf", test::pem(server_leaf().certificate), false)}) {
    CAPTURE(what);
    SslCtxPtr client = client_context(folder.write("ca.pem", text));
    TlsPair pair(client.get(), server.get());
    REQUIRE(set_upstream_name(pair.client.get(), "a.example.tld").ok());
    CHECK(pair.handshake() == fine);
  }
}

TEST_CASE("trust files: what cannot be used is named") {
  const test::TemporaryFolder folder;
  std::string whole = test::pem(root().certificate);
  struct Row {
    const char* what;
    std::string file;
    const char* says;
  };
  for (const Row& row : {Row{"missing", (folder.path() / "missing.pem").string(), "No such file"},
                         Row{"empty", folder.write("empty.pem", ""), "holds no certificate"},
                         Row{"folder", folder.path().string(), "not a file"},
                         Row{"a key", folder.write("key.pem", test::pem(root().key)), "holds no certificate"},
                         Row{"cut", folder.write("cut.pem", whole.substr(0, whole.size() / 2)), "broken PEM"},
                         Row{"good, then cut", folder.write("half.pem", whole + whole.substr(0, 200)), "broken PEM"}}) {
    CAPTURE(row.what);
    auto context = make_upstream_context({row.file, true, nullptr, {}});
    REQUIRE(!context.ok());
    CHECK_THAT(context.error().text(), test::holding(row.file) && test::holding(row.says));
    ClientCertRule rule{row.file, true, {}};
    CHECK(!make_server_context({{}, {}, &rule, {}, "", nullptr}).ok());
    ClientCertRule revoking{files().ca, true, row.file};
    CHECK(!make_server_context({{}, {}, &revoking, {}, "", nullptr}).ok());
  }
}

TEST_CASE("client certificates: required and optional, and the revoked one") {
  test::Made good = make_certificate({.common_name = "good", .eku = "clientAuth"}, &root());
  test::Made revoked = make_certificate({.common_name = "revoked", .eku = "clientAuth"}, &root());
  test::Made server_only = make_certificate({.common_name = "server", .eku = "serverAuth"}, &root());
  test::Made strange = make_certificate({.common_name = "strange"});
  const test::TemporaryFolder folder;
  std::string crl = folder.write("crl.pem", test::crl_pem(root(), {revoked.certificate.get()}));
  std::string old_crl = folder.write("old.pem", test::crl_pem(root(), {}, -1));
  struct Row {
    const char* what;
    const test::Made* client;
    bool required;
    std::string crl;
    const char* reason;  // at the server
  };
  for (const Row& row :
       {Row{"good", &good, true, "", ""}, Row{"none where required", nullptr, true, "", "certificate_missing"},
        Row{"none where optional", nullptr, false, "", ""}, Row{"good where optional", &good, false, "", ""},
        Row{"strange where optional", &strange, false, "", "certificate_unknown_ca"},
        Row{"a server's", &server_only, true, "", "certificate_verify"}, Row{"good, with a list", &good, true, crl, ""},
        Row{"revoked", &revoked, true, crl, "certificate_revoked"},
        Row{"revoked where optional", &revoked, false, crl, "certificate_revoked"},
        Row{"good, with an expired list", &good, true, old_crl, "crl_unusable"}}) {
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(row.what, version);
      ClientCertRule rule{files().ca, row.required, row.crl};
      SslCtxPtr server = server_context(server_leaf(), {}, {}, nullptr, &rule);
      KeyPair own = row.client == nullptr ? KeyPair{} : pair_of(*row.client);
      SslCtxPtr client = client_context(files().ca, {}, row.client == nullptr ? nullptr : &own);
      TlsPair pair(client.get(), server.get());
      SSL_set_max_proto_version(pair.client.get(), version);
      REQUIRE(set_upstream_name(pair.client.get(), "a.example.tld").ok());
      CHECK(pair.handshake() == (*row.reason == '\0'));
      CAPTURE(pair.server_error, pair.client_error);
      CHECK(pair.server_reason == row.reason);
      if (*row.reason == '\0' && row.client != nullptr)
        CHECK(X509_cmp(SSL_get0_peer_certificate(pair.server.get()), row.client->certificate.get()) == 0);
    }
  }
}

TEST_CASE("groups: the post-quantum one where the library has it, X25519 else") {
  SslCtxPtr server = server_context(server_leaf());
  SslCtxPtr client = client_context("");
  TlsPair pair(client.get(), server.get());
  REQUIRE(pair.handshake());
  // SSL_get_negotiated_group names hybrids only from 3.5 on; 3.0 gives the NID of X25519.
  bool hybrid = OpenSSL_version_num() >= 0x30500000UL;
  long group = SSL_get_negotiated_group(pair.client.get());
  if (hybrid) CHECK(std::string(SSL_group_to_name(pair.client.get(), static_cast<int>(group))) == "X25519MLKEM768");
  if (!hybrid) CHECK(group == NID_X25519);
}

TEST_CASE("renegotiation is refused, whoever asks for it") {
  for (bool by_client : {true, false}) {
    CAPTURE(by_client);
    SslCtxPtr server = server_context(server_leaf());
    SslCtxPtr client = by_client ? foreign_client() : client_context("");
    if (!by_client) {  // a server as the world has them
      SSL_CTX_clear_options(server.get(), SSL_OP_NO_RENEGOTIATION);
      SSL_CTX_set_client_hello_cb(server.get(), nullptr, nullptr);
    }
    TlsPair pair(client.get(), server.get());
    SSL_set_max_proto_version(pair.client.get(), TLS1_2_VERSION);
    REQUIRE(pair.handshake());
    SSL* asking = by_client ? pair.client.get() : pair.server.get();
    SSL* asked = by_client ? pair.server.get() : pair.client.get();
    REQUIRE(SSL_renegotiate(asking) == 1);
    std::string words;
    for (int turn = 0; turn < 4; ++turn) {
      char byte;
      SSL_do_handshake(asking);
      SSL_read(asked, &byte, 1);
      ERR_clear_error();
      SSL_read(asking, &byte, 1);
      words += tls_error_text(asking);
    }
    CHECK_THAT(words, test::holding("renegotiation"));
  }
}

TEST_CASE("a close without close_notify is an error, and a cut") {
  for (bool polite : {true, false}) {
    CAPTURE(polite);
    SslCtxPtr server = server_context(server_leaf());
    SslCtxPtr client = client_context("");
    TlsPair pair(client.get(), server.get());
    REQUIRE(pair.handshake());
    if (polite) SSL_shutdown(pair.client.get());
    BIO_shutdown_wr(SSL_get_wbio(pair.client.get()));
    char byte;
    ERR_clear_error();
    int result = SSL_read(pair.server.get(), &byte, 1);
    CHECK(SSL_get_error(pair.server.get(), result) == (polite ? SSL_ERROR_ZERO_RETURN : SSL_ERROR_SSL));
    if (polite) continue;
    CHECK(std::string(tls_failure_reason(pair.server.get())) == "cut");
    CHECK(tls_error(pair.server.get(), Side::client, Retry::no, "read").kind == Kind::cut);
  }
}

TEST_CASE("something else than TLS is named so") {
  SslCtxPtr server = server_context(server_leaf());
  SslCtxPtr client = client_context("");
  for (const char* text : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"}) {
    TlsPair pair(client.get(), server.get());
    BIO_write(SSL_get_wbio(pair.client.get()), text, static_cast<int>(std::strlen(text)));
    ERR_clear_error();
    CHECK(SSL_do_handshake(pair.server.get()) != 1);
    CHECK(std::string(tls_failure_reason(pair.server.get())) == "not_tls");
    CHECK(!tls_error_text(pair.server.get()).empty());
    CHECK(tls_error_text(pair.server.get()).empty());  // drained
  }
}

TEST_CASE("failure reasons are of a bounded set, and the alert is one record") {
  std::vector<std::string> words;
  for (const char* const* word = kTlsFailureReasons; *word != nullptr; ++word) words.emplace_back(*word);
  for (const char* word : {"cut", "not_tls", "unrecognized_name", "certificate_missing", "crl_unusable", "other"})
    CHECK(std::count(words.begin(), words.end(), word) == 1);
  for (const std::string& word : words) CHECK(name_of(handshake_failure_of(word)) == word);  // each is a label of its own
  CHECK(unrecognized_name_alert() == std::array<uint8_t, 7>{0x15, 3, 1, 0, 2, 2, 112});
}

}  // namespace sallyport
