// How alerts are written down: nothing that a server or a client said gets out of the place it was put into.
#include "runtime/alert_message.h"

#include <algorithm>

#include "catch.h"

namespace sallyport {
namespace {

using config::Alert;

AlertChange change(unsigned event, const char* state, const std::string& text,
                   AlertChange::Severity severity = AlertChange::Severity::warn) {
  AlertChange out;
  out.event = event;
  out.state = state;
  out.severity = severity;
  out.text = text;
  out.time = 1'764'390'000'000;
  return out;
}

AlertMessage message(std::vector<AlertChange> changes) {
  AlertMessage out;
  out.id = "7-1";
  out.gateway = "gate";
  out.time = 1'764'390'000'123;
  out.changes = std::move(changes);
  return out;
}

Alert mail() {
  Alert alert;
  alert.kind = Alert::Kind::email;
  alert.from = "gate@example.tld";
  alert.to = {"a@example.tld", "b@example.tld"};
  return alert;
}

// Header fields, unfolded; the body after an empty line.
std::vector<std::string> header_lines(const std::string& mail) {
  std::vector<std::string> out;
  for (size_t at = 0; at < mail.size();) {
    const size_t end = mail.find("\r\n", at);
    REQUIRE(end != std::string::npos);
    if (end == at) return out;
    const std::string line = mail.substr(at, end - at);
    if (line.front() == ' ')
      out.back() += line;
    else
      out.push_back(line);
    at = end + 2;
  }
  FAIL("no empty line");
  return out;
}

TEST_CASE("alert messages: the title says what happened, the worst first") {
  using S = AlertChange::Severity;
  CHECK(message({change(Alert::kServer, "down", "server a is down")}).title() == "server a is down");
  CHECK(message({change(Alert::kServer, "up", "", S::info), change(Alert::kServer, "down", ""),
                 change(Alert::kServer, "down", ""), change(Alert::kService, "no_server", "", S::error),
                 change(Alert::kCertificate, "expiring", ""), change(Alert::kReload, "refused", "", S::error)})
            .title() ==
        "1 service without servers, reload refused, 2 servers down, 1 certificate expiring, 1 server up");
  AlertMessage full = message({change(Alert::kServer, "down", "x")});
  full.omitted = 9;
  CHECK(full.title() == "1 server down, and 9 more");
}

TEST_CASE("alert messages: as much text as fits, and how much is missing") {
  std::vector<AlertChange> changes;
  for (int i = 0; i < 100; ++i)
    changes.push_back(change(Alert::kServer, "down", "server " + std::to_string(i) + " is down"));
  changes[0].changes = 12;
  const AlertMessage all = message(changes);
  CHECK(all.text(10'000).starts_with(
      "server 0 is down (it changed 12 times since it was told last)\nserver 1 is down\n"));
  CHECK(all.text(10'000).ends_with("\nserver 99 is down"));
  const std::string cut = all.text(400);
  CHECK(cut.size() <= 400);
  CHECK(cut.find("\n… and ") != std::string::npos);
  const size_t lines = static_cast<size_t>(std::count(cut.begin(), cut.end(), '\n'));
  CHECK(cut.ends_with("… and " + std::to_string(100 - lines) + " more"));
  CHECK(message({change(Alert::kServer, "down", std::string(5000, 'x'))}).text(100).size() <= 110);
}

TEST_CASE("alert messages: JSON") {
  AlertChange one = change(Alert::kServer, "down", "server a is down: \"no\"\xff");
  one.service = "web";
  one.server = "10.0.0.9:80";
  one.reason = "\"no\"\xff";
  CHECK(message({one}).json() ==
        R"({"version":1,"id":"7-1","gateway":"gate","time":1764390000123,"severity":"warn",)"
        R"("title":"server a is down: \"no\"?","text":"server a is down: \"no\"?","changes":[)"
        R"({"event":"server","state":"down","severity":"warn","service":"web","server":"10.0.0.9:80",)"
        "\"reason\":\"\\\"no\\\"\xef\xbf\xbd\",\"since\":1764390000000,\"changes\":1,"
        "\"text\":\"server a is down: \\\"no\\\"\xef\xbf\xbd\"}],\"omitted\":0}");
}

TEST_CASE("alert messages: one line is one line") {
  struct Row {
    std::string text;
    size_t most;
    std::string expected;
  };
  for (const Row& row : std::vector<Row>{{"plain", 10, "plain"},
                                         {"a\r\nBcc: x\tb", 50, "a  Bcc: x b"},
                                         {std::string("\0\x1b[31m\x7f", 7), 50, "??[31m?"},
                                         {"\xc3\xa4\xc3", 50, "\xc3\xa4?"},
                                         {"\xc3\xa4\xc3\xb6", 3, "\xc3\xa4…"},
                                         {"12345", 4, "1234…"},
                                         {"", 4, ""}}) {
    CAPTURE(row.text);
    CHECK(one_line(row.text, row.most) == row.expected);
  }
}

TEST_CASE("alert messages: what webhooks get") {
  const AlertMessage said = message({change(Alert::kServer, "down", "server <a> & @everyone is down")});
  Alert alert;
  const auto header = [](const WebhookRequest& request, const std::string& name) {
    std::string found;
    for (const auto& [key, value] : request.headers)
      if (key == name) found += value + "|";
    return found;
  };
  CHECK(webhook_request(alert, said).body == said.json());
  CHECK(header(webhook_request(alert, said), "Content-Type") == "application/json|");
  alert.format = Alert::Format::slack;
  CHECK(webhook_request(alert, said).body ==
        R"({"text":"gate: server &lt;a&gt; &amp; @everyone is down\u000aserver &lt;a&gt; &amp; @everyone is down"})");
  alert.format = Alert::Format::discord;
  CHECK(webhook_request(alert, said).body ==
        R"({"content":"**gate: server <a> & @everyone is down**\u000aserver <a> & @everyone is down",)"
        R"("allowed_mentions":{"parse":[]}})");
  alert.format = Alert::Format::gotify;
  CHECK(webhook_request(alert, said).body ==
        R"({"title":"gate: server <a> & @everyone is down","message":"server <a> & @everyone is down","priority":6})");
  alert.format = Alert::Format::ntfy;
  alert.headers = {{"Authorization", "Bearer tk"}, {"tags", "fire"}};
  const WebhookRequest ntfy = webhook_request(alert, said);
  CHECK(ntfy.body == "server <a> & @everyone is down");
  CHECK(header(ntfy, "Title") == "gate: server <a> & @everyone is down|");
  CHECK(header(ntfy, "Priority") == "3|");
  CHECK(header(ntfy, "Tags") == "");  // the user's, under the user's name
  CHECK(header(ntfy, "tags") == "fire|");
  CHECK(header(ntfy, "Content-Type") == "text/plain; charset=utf-8|");
}

TEST_CASE("alert messages: long ones stay below what receivers take") {
  std::vector<AlertChange> changes(400, change(Alert::kServer, "down", std::string(400, 'x')));
  const AlertMessage said = message(changes);
  Alert alert;
  alert.format = Alert::Format::discord;
  CHECK(webhook_request(alert, said).body.size() < 2000);
  alert.format = Alert::Format::ntfy;
  CHECK(webhook_request(alert, said).body.size() < 4096);
}

TEST_CASE("mail: headers and body") {
  const std::string text = mail_text(
      mail(), message({change(Alert::kServer, "down", "server a is down"), change(Alert::kServer, "up", "b = up.")}));
  CHECK(header_lines(text) ==
        std::vector<std::string>{
            "Date: Sat, 29 Nov 2025 04:20:00 +0000", "From: \"sallyport gate\" <gate@example.tld>",
            "To: a@example.tld, b@example.tld", "Subject: [sallyport] gate: 1 server down, 1 server up",
            "Message-ID: <7-1@example.tld>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"});
  CHECK(text.ends_with("\r\n\r\nserver a is down\r\nb =3D up.\r\n\r\n--=20\r\nsallyport on gate\r\n"));
}

TEST_CASE("mail: nothing that is told becomes a header, a line of SMTP, or a long line") {
  for (const std::string& evil :
       {std::string("x\r\nBcc: victim@example.tld\r\n\r\nbody"), std::string("x\nBcc: victim@example.tld"),
        std::string("\r\n.\r\nMAIL FROM:<x>"), std::string(3000, 'y'), std::string("ä\0ö\x1b\xff", 7),
        std::string("=?utf-8?Q?spoofed?="), std::string(".")}) {
    AlertMessage said = message({change(Alert::kServer, "down", evil)});
    said.gateway = "ga\"te\r\nX: y";
    const std::string text = mail_text(mail(), said);
    CAPTURE(text);
    const auto headers = header_lines(text);
    CHECK(headers.size() == 9);
    for (const std::string& header : headers) CHECK_FALSE(header.starts_with("Bcc"));
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find("\r\n", at);
      REQUIRE(end != std::string::npos);
      const std::string line = text.substr(at, end - at);
      CHECK(line.size() <= 998);
      CHECK_FALSE(line.starts_with("."));
      for (char c : line) CHECK((c >= 0x20 && c < 0x7f));
      at = end + 2;
    }
  }
}

TEST_CASE("mail: a header that is not ASCII is encoded by whole characters") {
  CHECK(header_text("plain text") == "plain text");
  CHECK(header_text("Größe 1") == "=?utf-8?Q?Gr=C3=B6=C3=9Fe_1?=");
  CHECK(header_text("=?x?=") == "=?utf-8?Q?=3D=3Fx=3F=3D?=");
  std::string many;
  for (int i = 0; i < 60; ++i) many += "ü";
  const std::string encoded = header_text(many);
  for (size_t at = 0; at < encoded.size();) {
    const size_t end = std::min(encoded.find(' ', at), encoded.size());
    const std::string word = encoded.substr(at, end - at);
    CHECK(word.size() <= 75);
    CHECK(word.starts_with("=?utf-8?Q?=C3=BC"));
    CHECK(word.ends_with("=C3=BC?="));
    at = end + 1;
  }
}

TEST_CASE("programs: the first change in the environment, and nothing of the gateway's secrets") {
  setenv("SALLYPORT_TEST_SECRET", "hush", 1);
  AlertChange one = change(Alert::kServer, "down", "server a is down");
  one.service = "web";
  one.server = "a";
  one.reason = "line\none";
  const auto environment = exec_environment(message({one, change(Alert::kServer, "up", "b")}));
  unsetenv("SALLYPORT_TEST_SECRET");
  const auto has = [&](const std::string& text) {
    return std::find(environment.begin(), environment.end(), text) != environment.end();
  };
  CHECK(has("SALLYPORT_EVENT=server"));
  CHECK(has("SALLYPORT_STATE=down"));
  CHECK(has("SALLYPORT_SERVICE=web"));
  CHECK(has("SALLYPORT_SERVER=a"));
  CHECK(has("SALLYPORT_REASON=line one"));
  CHECK(has("SALLYPORT_COUNT=2"));
  CHECK(has("SALLYPORT_SEVERITY=warn"));
  for (const std::string& one_of : environment) CHECK(one_of.find("hush") == std::string::npos);
}

}  // namespace
}  // namespace sallyport
