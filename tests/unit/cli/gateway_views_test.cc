#include "cli/gateway_views.h"

#include "catch.h"

namespace sallyport {
namespace {

Json json(const char* text) {
  Json out = parse_json(text);
  REQUIRE(out.is_object());
  return out;
}

// No view may end a line in a space.
void check_lines(const std::string& text) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
    if (at > 0) CHECK(text[at - 1] != ' ');
  CHECK((text.empty() || text.back() == '\n'));
}

}  // namespace

TEST_CASE("views: services, and those that are left out") {
  const std::string text = services_view(json(R"({"services": [
    {"name": "cloud", "mode": "reencrypt", "state": "degraded", "hosts": ["a.lab", "b.lab", "c.lab", "d.lab"], "file": "conf.d/cloud.yaml",
     "kept": true, "sessions": 3, "rates": {"requests": 12.4, "errors": 0.5, "received_bytes": 2048, "sent_bytes": 10},
     "servers": [{"state": "up", "admin": "enabled"}, {"state": "down", "admin": "enabled"}, {"state": "up", "admin": "disabled"}]}],
    "left_out": [{"name": "vault", "faults": [{"severity": "error", "file": "conf.d/vault.yaml", "line": 3, "column": 7,
      "message": "unknown mode", "excerpt": "mode: passthru"}]}]})"), false);
  CHECK(text ==
        "SERVICE  MODE       STATE     SERVERS  OPEN  REQ/S  ERR/S   IN/S  OUT/S  HOSTS                   FILE\n"
        "cloud    reencrypt  degraded      1/3     3     12    0.5  2 KiB   10 B  a.lab, b.lab, c.lab +1  conf.d/cloud.yaml (a fault; its last good version)\n"
        "\n"
        "vault is left out:\n"
        "conf.d/vault.yaml:3:7: error: unknown mode\n"
        "    mode: passthru\n"
        "          ^\n");
}

TEST_CASE("views: what a reload did, and would do") {
  const Json report = json(R"({"result": "partial", "seconds": 0.012, "added": ["wiki"], "changed": ["cloud"], "removed": ["old"],
    "kept": ["vault"], "certificates": 1, "listeners": {"opened": [":5432"], "closed": [], "failed": []}})");
  CHECK(reload_view(report, true, false) ==
        "+ wiki\n~ cloud\n- old\n+ listener :5432\n~ 1 TLS context\nvault has a fault: its last good version would stay\n");
  CHECK(reload_view(report, false, false) ==
        "+ wiki\n~ cloud\n- old\n+ listener :5432\n~ 1 TLS context\nvault has a fault: its last good version stays\npartial in 12 ms\n");
  CHECK(reload_view(json(R"({"result": "ok"})"), true, false) == "Nothing would change.\n");
  CHECK(reload_view(json(R"({"result": "ok", "seconds": 0.5})"), false, false) == "Nothing has changed.\nreloaded in 500 ms\n");
}

TEST_CASE("views: an answer without anything is no reason to fail") {
  for (const char* text : {"{}", R"({"services": [{}], "servers": [{}], "sessions": [{}], "certificates": [{}], "entries": [{}],
                                    "listeners": [{"binds": [{}]}], "reload": {"last": {}}, "left_out": [{}]})",
                           R"({"services": 1, "servers": "x", "sessions": null, "status": [], "rates": 3, "totals": "x"})"}) {
    CAPTURE(text);
    const Json answer = json(text);
    check_lines(status_view(answer, false));
    check_lines(services_view(answer, false));
    check_lines(service_view(answer, false));
    check_lines(sessions_view(answer, false));
    check_lines(certificates_view(answer, false));
    check_lines(sticky_view(answer, false));
    check_lines(top_view(answer, answer, false, 80, 24));
    check_lines(reload_view(answer, false, false));
  }
}

}  // namespace sallyport
