// What `explain` says of a configuration folder.
#include "admin/explain.h"

#include "catch.h"
#include "config/load.h"
#include "test_certificates.h"

namespace sallyport {
namespace {

using json = nlohmann::ordered_json;

class Folder {
 public:
  Folder& file(const std::string& name, const std::string& text) {
    folder_.write(name, text);
    return *this;
  }
  Folder& certificate(const std::string& file, const std::string& sans) {
    const test::Made made = test::make_certificate({.sans = sans});
    folder_.write(file, test::pem(made.certificate) + test::pem(made.key));
    return *this;
  }
  std::shared_ptr<const Snapshot> build() const {
    return build_snapshot(config::load(folder_.path()), std::make_shared<TicketKeys>());
  }

 private:
  test::TemporaryFolder folder_;
};

std::shared_ptr<const Snapshot> world() {
  return Folder()
      .certificate("certs/lab.pem", "DNS:*.lab.tld,DNS:shut.tld,DNS:unserved.tld")
      .certificate("certs/fixed.pem", "DNS:something.else")
      .certificate("certs/clients.pem", "DNS:ca.tld")
      .file("gateway.yaml", R"(listeners:
  https: { bind: ":443", public_port: 8443 }
  lan: { bind: "10.0.0.6:9443", accept_proxy: [10.0.0.1] }
  wan: { bind: "10.0.0.7:9443" }
  mail: { bind: ":993" }
)")
      .file("conf.d/a-cloud.yaml", "mode: edge\nhosts: [cloud.lab.tld]\nservers: [\"10.1.0.1:80\"]\n")
      .file("conf.d/b-login.yaml",
            "mode: edge\nhosts: [cloud.lab.tld]\npaths: [/login]\nservers: [\"10.1.0.2:80\"]\n"
            "access: { allow: [192.168.0.0/16], deny: [192.168.1.1] }\n")
      .file("conf.d/c-wild.yaml",
            "mode: reencrypt\nhosts: [\"*.lab.tld\"]\nservers: [\"10.1.0.3:443\"]\nplain_http: refuse\n")
      .file("conf.d/d-vault.yaml", "mode: passthrough\nhosts: [vault.lab.tld]\nservers: [\"10.1.0.4:8200\"]\n")
      .file("conf.d/e-shut.yaml",
            "mode: edge\nhosts: [shut.tld]\nservers: [\"10.1.0.5:80\"]\n"
            "client_certificates: { ca: clients.pem }\n")
      .file("conf.d/f-bare.yaml", "mode: edge\nhosts: [bare.tld]\nservers: [\"10.1.0.6:80\"]\n")
      .file("conf.d/g-fixed.yaml",
            "mode: edge\nhosts: [fixed.tld]\nservers: [\"10.1.0.7:80\"]\ncertificate: fixed.pem\n"
            "plain_http: serve\n")
      .file("conf.d/h-plain.yaml", "mode: http\nhosts: [plain.tld]\npaths: [/here]\nservers: [\"10.1.0.8:80\"]\n")
      .file("conf.d/i-old.yaml",
            "mode: redirect\nhosts: [old.tld]\nredirect: { to: \"https://new.tld/x/\", status: 302 }\n")
      .file("conf.d/j-git.yaml", "mode: ssh\nservers: [\"10.1.0.9:22\"]\n")
      .file("conf.d/k-imap.yaml",
            "mode: edge\nprotocol: tcp\nlisten: mail\nhosts: [imap.lab.tld]\nservers: [\"10.1.0.10:143\"]\n")
      .file("conf.d/l-raw.yaml", "mode: tcp\nlisten: [mail, lan]\nservers: [\"10.1.0.11:1\"]\n")
      .file("conf.d/m-off.yaml", "mode: http\nhosts: [off.tld]\nservers: [{ address: \"10.1.0.12:80\", weight: 0 }]\n")
      .file("conf.d/n-full.yaml", "mode: http\nhosts: [named.tld]\nservers: [\"nowhere.invalid:80\"]\n")
      .build();
}

json ask(const Snapshot& snapshot, ExplainRequest request) { return explain(snapshot, request); }

}  // namespace

TEST_CASE("explain: outcome, status and service") {
  const auto snapshot = world();
  for (const config::Fault& fault : snapshot->config.faults) CHECK(fault.severity == config::Severity::warning);
  const struct {
    ExplainRequest request;
    const char* outcome;
    int status;
    const char* service;
    const char* why;
  } rows[] = {
      {{"https://cloud.lab.tld:8443/"}, "server", 0, "a-cloud", "10.1.0.1:80"},
      {{"https://cloud.lab.tld/"}, "server", 0, "a-cloud", "10.1.0.1:80"},  // what is bound does as well
      {{"https://cloud.lab.tld/x/../%6cogin/"}, "server", 0, "b-login", "10.1.0.2:80"},
      {{"https://cloud.lab.tld/login", "192.168.7.7"}, "server", 0, "b-login", "10.1.0.2:80"},
      {{"https://cloud.lab.tld/login", "192.168.1.1"}, "status", 403, "b-login", "does not let 192.168.1.1 in"},
      {{"https://cloud.lab.tld/login", "10.0.0.1"}, "status", 403, "b-login", "403"},
      {{"https://x.lab.tld/"}, "server", 0, "c-wild", "10.1.0.3:443"},
      {{"https://vault.lab.tld/"}, "server", 0, "d-vault", "10.1.0.4:8200"},
      {{"https://shut.tld/"}, "server", 0, "e-shut", "10.1.0.5:80"},
      {{.target = "https://shut.tld/", .client_certificate = false}, "tls_alert", 0, "e-shut", "certificate_required"},
      {{"https://bare.tld/"}, "tls_alert", 0, "f-bare", "no certificate covers it"},
      {{"https://fixed.tld/"}, "server", 0, "g-fixed", "10.1.0.7:80"},
      {{"https://unserved.tld/"}, "status", 421, "", "no service on listener \"https\""},
      {{"https://elsewhere.tld/"}, "tls_alert", 0, "", "unrecognized_name"},
      {{.target = "https://vault.lab.tld/", .sni = "cloud.lab.tld"}, "status", 421, "", "of its own"},
      {{.target = "https://shut.tld/", .sni = "cloud.lab.tld"}, "status", 421, "", "client_certificates"},
      {{.target = "https://cloud.lab.tld/", .sni = "x.lab.tld"}, "server", 0, "a-cloud", "10.1.0.1:80"},
      {{"https://10.0.0.1/"}, "tls_alert", 0, "", "unrecognized_name"},
      {{"http://cloud.lab.tld/a?b"}, "redirect", 301, "a-cloud", "https://cloud.lab.tld:8443/a?b"},
      {{.target = "http://cloud.lab.tld/a?b", .method = "POST"},
       "redirect",
       308,
       "a-cloud",
       "https://cloud.lab.tld:8443/a?b"},
      {{"http://x.lab.tld/"}, "status", 404, "c-wild", "plain_http: refuse"},
      {{"http://fixed.tld/"}, "server", 0, "g-fixed", "10.1.0.7:80"},
      {{"http://fixed.tld:8443/"}, "server", 0, "g-fixed", "10.1.0.7:80"},
      {{"http://plain.tld/here/x"}, "server", 0, "h-plain", "10.1.0.8:80"},
      {{"http://plain.tld/there"}, "status", 404, "", "not this path"},
      {{"http://old.tld/a"}, "redirect", 302, "i-old", "https://new.tld/x/a"},
      {{"http://imap.lab.tld/"}, "status", 404, "c-wild", "refuse"},  // what is no HTTP within TLS is not redirected to
      {{"ssh://cloud.lab.tld"}, "server", 0, "j-git", "10.1.0.9:22"},
      {{"cloud.lab.tld:22"}, "server", 0, "j-git", "10.1.0.9:22"},
      {{"https://cloud.lab.tld:22"}, "server", 0, "j-git", "10.1.0.9:22"},  // alone on its listener
      {{"imap.lab.tld:993"}, "server", 0, "k-imap", "10.1.0.10:143"},
      {{"imaps://imap.lab.tld"}, "server", 0, "k-imap", "10.1.0.10:143"},
      {{"tcp://imap.lab.tld:993"}, "server", 0, "l-raw", "10.1.0.11:1"},
      {{"ssh://imap.lab.tld:993"}, "server", 0, "l-raw", "10.1.0.11:1"},
      {{"imaps://other.lab.tld"}, "status", 400, "", "no HTTP"},  // *.lab.tld has a certificate, and nobody the name
      {{"tcp://cloud.lab.tld:443"}, "closed", 0, "", "takes such bytes"},
      {{"https://cloud.lab.tld:1/"}, "closed", 0, "", "nobody listens on port 1"},
      {{"tcp://10.0.0.6:9443"}, "server", 0, "l-raw", "10.1.0.11:1"},
      {{"tcp://10.0.0.7:9443"}, "closed", 0, "", "takes such bytes"},
      {{.target = "tcp://a.tld:9443", .to = "10.0.0.7"}, "closed", 0, "", "listener \"wan\""},
      {{.target = "tcp://a.tld:9443", .to = "10.0.0.8"}, "closed", 0, "", "nobody listens on port 9443 at 10.0.0.8"},
      {{.target = "tcp://a.tld:9443", .from = "10.0.0.1", .to = "10.0.0.6"},
       "closed",
       0,
       "",
       "must send the PROXY header"},
      {{.target = "tcp://a.tld:9443", .from = "10.9.9.9", .to = "10.0.0.6"}, "server", 0, "l-raw", "10.1.0.11:1"},
      {{.target = "tcp://a.tld:9443", .from = "10.9.9.9", .to = "10.0.0.6", .via = "10.0.0.1"},
       "server",
       0,
       "l-raw",
       "10.1.0.11:1"},
      {{"http://off.tld/"}, "status", 503, "m-off", "no server can be used"},
      {{"http://named.tld/"}, "status", 503, "n-full", "no server can be used"},
  };
  for (const auto& row : rows) {
    const json told = ask(*snapshot, row.request);
    CAPTURE(row.request.target, row.request.from, row.request.sni, told.dump(1));
    REQUIRE(told.contains("outcome"));
    CHECK(told["outcome"] == row.outcome);
    CHECK(told["status"] == row.status);
    CHECK(told.value("service", "") == row.service);
    CHECK(told["why"].get<std::string>().find(row.why) != std::string::npos);
    CHECK(explain_text(told).find(told["why"].get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("explain: places, certificates, and who lost") {
  const auto snapshot = world();
  const json told = ask(*snapshot, {"https://cloud.lab.tld/login"});
  CAPTURE(told.dump(1));
  CHECK(told["file"] == "conf.d/b-login.yaml");
  CHECK(told["line"] == 1);
  CHECK(told["certificate"] == "lab.pem");
  CHECK(told["listener"] == "https");
  CHECK(told["layer"] == "edge");
  CHECK(told["protocol"] == "tls");
  const auto why_not = [&](const json& of, const char* service) {
    for (const json& other : of["others"])
      if (other["service"] == service) return other["why"].get<std::string>();
    return std::string();
  };
  CHECK(why_not(told, "a-cloud") == "has host \"cloud.lab.tld\", but its path \"/\" is shorter");
  CHECK(why_not(told, "c-wild") == "its host \"*.lab.tld\" is less specific than \"cloud.lab.tld\"");
  CHECK(why_not(ask(*snapshot, {"https://cloud.lab.tld/"}), "b-login").find("none leads there") != std::string::npos);
  CHECK(ask(*snapshot, {"https://fixed.tld/"})["certificate"] == "fixed.pem");

  const std::string typo = explain_text(ask(*snapshot, {"https://fxed.tld/"}));
  CHECK(typo.find("there is \"fixed.tld\"") != std::string::npos);
  const json elsewhere = ask(*snapshot, {"https://plain.tld/"});
  CHECK(why_not(elsewhere, "h-plain").find("on listener \"http\"") != std::string::npos);
  for (const char* bad : {"gopher://x", "https://"}) CHECK(ask(*snapshot, {bad}).contains("error"));
  CHECK(ask(*snapshot, {"https://a.tld", "not-an-ip"}).contains("error"));
}

TEST_CASE("explain: which servers, and why not the others") {
  const auto snapshot =
      Folder()
          .file("conf.d/x.yaml",
                "mode: http\nhosts: [x.tld]\nservers:\n  - \"10.1.0.1:80\"\n  - \"10.1.0.2:80\"\n"
                "  - { address: \"10.1.0.3:80\", backup: true }\n  - { address: \"10.1.0.4:80\", weight: 0 }\n"
                "  - \"gone.invalid:80\"\n  - { address: \"10.1.0.6:80\", max_connections: 1 }\n")
          .file("conf.d/y.yaml",
                "mode: http\nhosts: [y.tld]\nsticky: { by: source }\nservers: [\"10.1.0.1:80\", \"10.1.0.2:80\"]\n")
          .build();
  const auto& endpoints = snapshot->services[0]->upstream->endpoints;
  const config::Health once = [] {
    config::Health rules;
    rules.fall = 1;
    return rules;
  }();
  const auto told = [&](const char* target = "http://x.tld/", const char* from = "") {
    return ask(*snapshot, {target, from});
  };
  const auto takes = [&](const json& of) {
    std::string out;
    for (const json& server : of["servers"]) out += server["takes"].get<bool>() ? '+' : '-';
    return out;
  };
  CHECK(takes(told()) == "++---+");
  endpoints[1]->health.check_failed(once, 1, 1, "connection refused");
  endpoints[5]->slots_taken = 1;
  json now = told();
  CAPTURE(now.dump(1));
  CHECK(takes(now) == "+-----");
  CHECK(now["servers"][1]["why"] == "down: connection refused");
  CHECK(now["servers"][2]["why"] == "a backup: others are up");
  CHECK(now["servers"][3]["why"] == "weight 0: no new clients");
  CHECK(now["servers"][4]["why"].get<std::string>().starts_with("unresolved"));
  CHECK(now["servers"][5]["why"] == "has its 1 connections");
  endpoints[0]->health.check_failed(once, 1, 1, "down");
  now = told();
  CHECK(takes(now) == "-----+");  // full, and the only one that is up: the client waits
  CHECK(now["outcome"] == "server");
  endpoints[5]->health.check_failed(once, 1, 1, "down");
  CHECK(takes(told()) == "--+---");
  endpoints[2]->health.check_failed(once, 1, 1, "down");
  now = told();
  CHECK(takes(now) == "------");
  CHECK(now["status"] == 503);

  const auto& sticky = snapshot->services[1]->upstream;
  CHECK(takes(told("http://y.tld/", "192.0.2.9")) == "++");
  sticky->sticky->store(*Address::parse_ip("192.0.2.9", 0), sticky->endpoints[1]->hash(), Loop::precise_now() / 1000);
  CHECK(takes(told("http://y.tld/", "192.0.2.9")) == "-+");
  CHECK(takes(told("http://y.tld/", "192.0.2.8")) == "++");
}

}  // namespace sallyport
