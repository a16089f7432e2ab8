// `alerts` of gateway.yaml: each key, good and bad.
#include <functional>

#include "catch.h"
#include "config/parse_alerts.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;
using Kind = Alert::Kind;

Config loaded(const std::string& alert) {
  return Memory{
      {"gateway.yaml", "alerts:\n- { " + alert + " }\n"}, {"secret", "hush\n"}, {"url", "https://d.example/k\n"}}
      .load();
}

TEST_CASE("alerts: good ones") {
  struct Row {
    const char* alert;
    std::function<bool(const Alert&)> holds;
  };
  for (const Row& row : std::vector<Row>{
           {"webhook: \"https://Hook.example/a?b=c\"",
            [](const Alert& a) {
              return a.kind == Kind::webhook && a.url == "https://Hook.example/a?b=c" && a.name == "hook.example" &&
                     a.format == Alert::Format::json && a.method == "POST" && a.on == Alert::kEverything &&
                     a.limit == 10 && a.limit_time == 1h && a.timeout == 10s;
            }},
           {"webhook: !file url, format: discord",
            [](const Alert& a) { return a.url == "https://d.example/k" && a.format == Alert::Format::discord; }},
           {"format: ntfy, webhook: \"http://n.example/t\", method: PUT, headers: { Authorization: !file secret }",
            [](const Alert& a) {
              return a.method == "PUT" && a.headers.size() == 1 && a.headers[0].second == "hush" &&
                     a.format == Alert::Format::ntfy;
            }},
           {"webhook: \"https://h.example\", on: [server, reload], limit: 3/d, timeout: 30s, ca: own.pem, name: mine",
            [](const Alert& a) {
              return a.on == (Alert::kServer | Alert::kReload) && a.limit == 3 && a.limit_time == 24h &&
                     a.timeout == 30s && a.ca == "/etc/sallyport/certs/own.pem" && a.name == "mine";
            }},
           {"email: a@example.tld, smtp: \"smtps://mail.example.tld\", user: u, password: !file secret",
            [](const Alert& a) {
              return a.kind == Kind::email && a.to == std::vector<std::string>{"a@example.tld"} &&
                     a.from == "a@example.tld" && a.smtp == "smtps://mail.example.tld" && !a.starttls &&
                     a.password == "hush" && a.name == "a@example.tld";
            }},
           {"email: [a@example.tld, b@example.tld], from: g@example.tld, smtp: \"SMTP://Mail.example.tld:587/\"",
            [](const Alert& a) {
              return a.to.size() == 2 && a.from == "g@example.tld" && a.smtp == "smtp://mail.example.tld:587" &&
                     a.starttls;
            }},
           {"email: a@example.tld, smtp: \"smtp://127.0.0.1\"", [](const Alert& a) { return !a.starttls; }},
           {"email: a@example.tld, smtp: \"smtp://[::1]:25\"",
            [](const Alert& a) { return !a.starttls && a.smtp == "smtp://[::1]:25"; }},
           {"email: a@example.tld, smtp: \"smtp://localhost\", starttls: required",
            [](const Alert& a) { return a.starttls; }},
           {"email: a@example.tld, smtp: \"smtp://10.0.0.9\", starttls: off",
            [](const Alert& a) { return !a.starttls; }},
           {"exec: [bin/tell, \"--to me\"]",
            [](const Alert& a) {
              return a.kind == Kind::exec && a.name == "tell" &&
                     a.command == std::vector<std::string>{"/etc/sallyport/bin/tell", "--to me"};
            }},
           {"exec: logger", [](const Alert& a) { return a.command == std::vector<std::string>{"logger"}; }},
       }) {
    CAPTURE(row.alert);
    const Config config = loaded(row.alert);
    CHECK(texts(config) == "");
    REQUIRE(config.gateway.alerts.size() == 1);
    CHECK(row.holds(config.gateway.alerts[0]));
  }
}

TEST_CASE("alerts: bad ones") {
  struct Row {
    const char* alert;
    const char* expected;  // column and message of its only fault
  };
  for (const Row& row : std::vector<Row>{
           {"limit: 3/h", "3: an alert needs one of webhook, email and exec"},
           {"webhook: \"https://a.example\", exec: x",
            "3: an alert is one of webhook, email and exec; write one for each"},
           {"webhook: x",
            "14: expected an absolute URL such as https://ntfy.example.tld/topic, without a user or password in it"},
           {"webhook: \"https://u:p@a.example/\"",
            "14: expected an absolute URL such as https://ntfy.example.tld/topic, without a user or password in it"},
           {"webhook: \"file:///etc/passwd\"",
            "14: expected an absolute URL such as https://ntfy.example.tld/topic, without a user or password in it"},
           {"webhook: \"https://a.example\", smtp: \"smtp://a\"", "35: \"smtp\" means nothing with webhook"},
           {"webhook: \"https://a.example\", webhok: x", "35: unknown key \"webhok\"; did you mean \"webhook\"?"},
           {"webhook: \"https://a.example\", format: teams",
            "43: unknown format \"teams\"; expected json, slack, discord, ntfy or gotify"},
           {"webhook: \"https://a.example\", headers: { Host: x }",
            "46: \"Host\" is written by the gateway itself and cannot be edited"},
           {"webhook: \"https://a.example\", headers: { X: \"a\\nb: c\" }",
            "49: a header's value holds no line end and no other control character"},
           {"webhook: \"https://a.example\", on: []", "39: \"on\" names at least one event"},
           {"webhook: \"https://a.example\", on: [servers]", "40: unknown event \"servers\"; did you mean \"server\"?"},
           {"webhook: \"https://a.example\", limit: 10",
            "42: expected 1 to 1000 messages in a time, such as 10/h (m, h or d), found \"10\""},
           {"webhook: \"https://a.example\", limit: 0/h",
            "42: expected 1 to 1000 messages in a time, such as 10/h (m, h or d), found \"0/h\""},
           {"webhook: \"https://a.example\", timeout: 1h", "44: expected a time from 1s to 5m, found \"1h\""},
           {"email: a@example.tld",
            "3: \"email\" needs \"smtp\": the server that takes the mail, such as smtps://mail.example.tld"},
           {"email: admin, smtp: \"smtp://a\"",
            "12: expected a mail address such as admin@example.tld, found \"admin\""},
           {"email: [], smtp: \"smtp://a\"", "12: \"email\" names 1 to 50 addresses"},
           {"email: a@b.tld, smtp: \"smtp://u:p@a\"",
            "27: expected a mail server such as smtps://mail.example.tld or smtp://mail.example.tld:587; user and "
            "password are keys of their own"},
           {"email: a@b.tld, smtp: \"smtps://a\", starttls: off",
            "3: \"starttls\" means nothing with smtps://, which is TLS at once"},
           {"email: a@b.tld, smtp: \"smtps://a\", user: u", "3: \"user\" and \"password\" belong together"},
           {"email: a@b.tld, smtp: \"smtp://a\", starttls: off, user: u, password: p",
            "3: without TLS the password could be read on its way; leave \"starttls: off\" away"},
           {"exec: []", "11: \"exec\" is a program and its arguments, 100 at most"},
           {"exec: \"\"", "11: expected a program, found nothing"},
           {"exec: /bin/tell me",
            "11: there is no shell; a program with arguments is a list, such as [/usr/bin/logger, -t, sallyport]"},
           {"exec: x, ca: y", "14: \"ca\" means nothing with exec"},
           {"exec: x, name: \"a b\"", "20: a name is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found \"a b\""},
       }) {
    CAPTURE(row.alert);
    const Config config = loaded(row.alert);
    CHECK(config.gateway_faulty);
    REQUIRE(config.faults.size() == 1);
    const Fault& fault = config.faults[0];
    CHECK(fault.at.line == 2);
    CHECK(std::to_string(fault.at.column) + ": " + fault.message == row.expected);
  }
}

TEST_CASE("alerts: a secret beside a mistake is not shown") {
  for (const char* alert : {"webhook: \"https://u:hidden@a.example/\"", "webhook: \"http:/hidden\"",
                            "email: a@b.tld, smtp: \"smtp://u:hidden@a\""}) {
    CAPTURE(alert);
    CHECK(texts(loaded(alert)).find("hidden") == std::string::npos);
    CHECK(texts(loaded(alert)).find("***") != std::string::npos);
  }
}

TEST_CASE("alerts: mail addresses") {
  for (const char* good : {"a@b", "first.last+tag@example.tld", "o'neil@example.tld", "x@xn--bcher-kva.example"})
    CHECK(parse_mail_address(good));
  for (const char* bad :
       {"",        "a",       "@b",           "a@",   "a b@c",  "a@b c", "<a@b>", "A <a@b>", "a@b\r\nRCPT TO:<c@d>",
        "a@b>",    "\"a\"@b", ".a@b",         "a.@b", "a..b@c", "a@b.",  "ä@b",   "a@ä",     "a,b@c",
        "a@b,c@d", "a:b@c",   "a@[127.0.0.1]"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_mail_address(bad));
  }
  CHECK_FALSE(parse_mail_address(std::string(65, 'a') + "@b"));
}

}  // namespace
}  // namespace sallyport::config
