// Warnings: what will surprise although nothing is wrong.
#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

TEST_CASE("warnings: each says what will surprise, and nobody is left out") {
  const struct {
    const char* gateway;
    const char* service;
    const char* expected;  // "": no warning
  } rows[] = {
      {"", "", ""},
      {"trusted_proxies: [0.0.0.0/0]\n", "", "trusted_proxies holds every address: any client can claim to be another"},
      {"trusted_proxies: [\"::/0\"]\n", "", "trusted_proxies holds every address: any client can claim to be another"},
      {"listeners: { http: { accept_proxy: [0.0.0.0/0] } }\n", "",
       "accept_proxy of listener \"http\" holds every address: any client can claim to be another"},
      {"listeners: { lan: { bind: \":8443\" } }\n", "", "no service uses the listener \"lan\""},
      {"listeners: { lan: { bind: \":8443\" } }\n", "mode: edge\nlisten: lan\nservers: [a:80]\n", ""},
      {"admin: { bind: \":8404\" }\n", "",
       "admin listens on \":8404\", which is not loopback, and has no token: nothing can be read there but /health"},
      {"admin: { bind: \"10.0.0.6:8404\" }\n", "",
       "admin listens on \"10.0.0.6:8404\", which is not loopback, and has no token: nothing can be read there but "
       "/health"},
      {"admin: { bind: \"[::1]:8404\" }\n", "", ""},
      {"admin: { bind: \":8404\", token: t }\n", "", ""},
      {"admin: off\n", "", ""},
      {"", "mode: redirect\nhosts: [a.b]\nlisten: https\nredirect: { to: \"https://A.b\" }\n",
       "the redirect to \"https://A.b\" leads to this service itself, again and again"},
      {"", "mode: redirect\nhosts: [a.b]\nredirect: { to: \"http://a.b/\" }\n",
       "the redirect to \"http://a.b/\" leads to this service itself, again and again"},
      {"", "mode: redirect\nhosts: [a.b]\nredirect: { to: \"https://a.b\" }\n", ""},
      {"", "mode: redirect\nhosts: [a.b]\nlisten: https\nredirect: { to: \"https://a.b/x\", keep_path: false }\n", ""},
      {"", "mode: edge\nservers: [a:80]\nplain_http: serve\nclient_certificates: { ca: x }\n",
       "plain_http: serve lets clients in without the certificate that client_certificates asks for"},
      {"", "mode: reencrypt\nservers: [a:443]\nserver_tls: { verify: none, ca: x }\n",
       "server_tls has a ca, and verify: none does not look at it"},
      {"", "mode: edge\nservers: [{ address: a:80, weight: 0 }]\n",
       "every server has weight 0: no new connection is accepted"},
      {"", "mode: edge\nservers: [{ address: a:80, weight: 0 }, b:80]\n", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.gateway, row.service);
    Memory files{{"gateway.yaml", row.gateway}};
    if (*row.service != '\0') files.file("conf.d/x.yaml", row.service);
    const Config config = files.load();
    CHECK_FALSE(config.has_errors());
    CHECK(config.left_out.empty());
    CHECK(config.services.size() == (*row.service == '\0' ? 0 : 1));
    REQUIRE(config.faults.size() == (*row.expected == '\0' ? 0 : 1));
    if (!config.faults.empty()) {
      CHECK(config.faults[0].message == row.expected);
      CHECK(config.faults[0].severity == Severity::warning);
    }
  }
}

TEST_CASE("warnings: gateway.yml is not gateway.yaml") {
  const Config config = Memory{{"gateway.yml", "workers: 4\n"}}.load();
  CHECK(texts(config) == "gateway.yml: warning: is not read; the file is named gateway.yaml\n");
  CHECK(config.gateway.workers == 0);
}

}  // namespace
}  // namespace sallyport::config
