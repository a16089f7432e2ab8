#include "cli/certs_list.h"

#include "catch.h"
#include "holding.h"
#include "test_certificates.h"

namespace sallyport {
namespace {

using config::Mode;
using test::holding;
using test::pem;

config::Service service(const std::string& name, Mode mode, std::vector<std::string> hosts) {
  config::Service made;
  made.name = name;
  made.mode = mode;
  made.hosts = std::move(hosts);
  made.listeners = {"https"};
  return made;
}

struct Folder {
  test::TemporaryFolder folder;
  void add(const std::string& file, const test::Wanted& wanted) const {
    test::Made made = test::make_certificate(wanted);
    folder.write(file, pem(made.certificate) + pem(made.key));
  }
};

std::string users_text(const std::string& file, const config::Config& config, const CertStore& store) {
  auto set = store.by_file(file);
  REQUIRE(set.ok());
  std::string text;
  for (const std::string& user : users_of(*set->front(), CertUsers(config, store))) text += (text.empty() ? "" : ", ") + user;
  return text;
}

}  // namespace

TEST_CASE("certs list: a certificate's users are the services a handshake would show it for") {
  Folder made;
  made.add("exact.pem", {.sans = "DNS:cloud.example.tld"});
  made.add("stale.pem", {.sans = "DNS:cloud.example.tld", .from_days = -20});
  made.add("wild.pem", {.sans = "DNS:*.example.tld"});
  made.add("deep.pem", {.sans = "DNS:a.b.example.tld"});
  made.add("fixed.pem", {.sans = "DNS:fixed.other.tld"});
  made.add("client.pem", {.common_name = "gateway"});
  made.add("default.pem", {.common_name = "default"});
  auto store = CertStore::load(made.folder.path());

  config::Config config;
  config.gateway.certificates.default_certificate = (made.folder.path() / "default.pem").string();
  config.services = {service("cloud", Mode::edge, {"cloud.example.tld"}),
                     service("wiki", Mode::reencrypt, {"wiki.example.tld", "cloud.example.tld"}),
                     service("star", Mode::edge, {"*.example.tld"}),
                     service("passed", Mode::passthrough, {"wiki.example.tld"}),
                     service("plain", Mode::http, {"wiki.example.tld"}),
                     service("moved", Mode::redirect, {"old.example.tld"}),
                     service("pinned", Mode::edge, {"cloud.example.tld"})};
  config.services[6].certificate = (made.folder.path() / "fixed.pem").string();
  config.services[1].server_tls.enabled = true;
  config.services[1].server_tls.client_certificate = (made.folder.path() / "client.pem").string();

  for (const auto& [file, users] :
       {std::pair("exact.pem", "cloud, wiki, star"), std::pair("stale.pem", ""),
        std::pair("wild.pem", "wiki, star, moved"), std::pair("deep.pem", ""), std::pair("fixed.pem", "pinned"),
        std::pair("client.pem", "wiki (to its servers)"), std::pair("default.pem", "(default)")}) {
    CAPTURE(file);
    CHECK(users_text(file, config, *store) == users);
  }
  config.services = {service("any", Mode::edge, {"*"})};
  CHECK(users_text("deep.pem", config, *store) == "any");
  CHECK(users_text("stale.pem", config, *store).empty());
  config.services = {service("moved", Mode::redirect, {"old.example.tld"})};
  config.services[0].listeners = {"http"};
  CHECK(users_text("wild.pem", config, *store).empty());
}

TEST_CASE("certs list: what is printed") {
  Folder made;
  made.add("a.pem", {.common_name = "A\n CA", .sans = "DNS:a.example.tld,IP:192.0.2.1", .to_days = 20});
  made.add("b.pem",
           {.sans = "DNS:b.example.tld", .from_days = -30, .to_days = -2, .algorithm = test::Algorithm::rsa2048});
  made.add("client.pem", {.common_name = "gateway"});
  test::Made two = test::make_certificate({.sans = "DNS:c.example.tld"});
  made.folder.write("c.crt", pem(two.certificate));
  made.folder.write("c.key", pem(two.key));
  made.folder.write("lonely.key", pem(test::make_key()));
  auto store = CertStore::load(made.folder.path());
  config::Config config;
  config.services = {service("cloud", Mode::edge, {"a.example.tld"})};
  config.services[0].server_tls.enabled = true;
  config.services[0].server_tls.client_certificate = (made.folder.path() / "client.pem").string();
  config.left_out = {"broken"};
  std::string text = certificate_list(config, *store, std::chrono::system_clock::now());
  INFO(text);
  CHECK_THAT(text, holding("a.example.tld, 192.0.2.1\n  expires  ") && holding(", in 19 days\n"));
  CHECK_THAT(text, holding("  issuer   CN=A\\0A CA\n") && !holding("A\n CA"));
  CHECK_THAT(text, holding("  file     a.pem (ECDSA)\n  used by  cloud\n"));
  CHECK_THAT(text, holding(", EXPIRED 2 days ago\n") && holding("b.pem (RSA)\n  used by  no service\n"));
  CHECK_THAT(text, holding("c.crt (ECDSA, key in c.key)\n"));
  CHECK_THAT(text, holding("no DNS or IP names\n") && holding("used by  cloud (to its servers)\n"));
  CHECK_THAT(text, holding("faults (sallyport check tells): broken\n"));
  CHECK_THAT(text, holding("Problems:\n  lonely.key: its private key belongs to no certificate here\n"));
}

TEST_CASE("certs list: an empty folder says what to do") {
  test::TemporaryFolder folder;
  config::Config config;
  config.gateway.certificates.directory = folder.path().string();
  std::string text = certificate_list(config, *CertStore::load(folder.path()), std::chrono::system_clock::now());
  CHECK_THAT(text, holding("No certificate with a key and a name in " + folder.path().string()));
  CHECK_THAT(text, holding("sallyport certs issue"));
}

}  // namespace sallyport
