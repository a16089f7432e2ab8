// What each kind of check makes of a server's answers, however they are cut.
#include "upstream/health_dialog.h"

#include <vector>

#include "catch.h"
#include "holding.h"
#include "transport/crypto.h"
#include "transport/login_crypto.h"

namespace sallyport {
namespace {

using Type = config::Health::Type;
using Verdict = HealthDialog::Verdict;
using namespace std::literals;

constexpr std::string_view kAdvice = "this server speaks TLS: use mode reencrypt";

struct Heard {
  Verdict verdict = Verdict::need_more;
  std::string reason;
  std::string said;
  friend bool operator==(const Heard&, const Heard&) = default;
};

config::Health rules_of(Type type) {
  config::Health rules;
  rules.type = type;
  return rules;
}

// The answers come when there is something to answer: at the first byte of each the dialog has said what it will.
Heard hear(const config::Health& rules, std::string_view answer, size_t piece, bool closes,
           std::string_view advice = kAdvice) {
  auto dialog = make_health_dialog({rules, "cloud.example.tld", "rOprNGfwEbeRWgbNEkqO", advice});
  Heard out;
  out.verdict = dialog->start();
  for (size_t at = 0; at < answer.size(); at += piece) out.verdict = dialog->feed(as_bytes(answer.substr(at, piece)));
  if (closes) out.verdict = dialog->end();
  out.reason = dialog->reason();
  out.said = dialog->take_output();
  return out;
}

// The same for every cut in two, and byte by byte.
Heard hear_in_pieces(const config::Health& rules, std::string_view answer, bool closes,
                     std::string_view advice = kAdvice) {
  const Heard whole = hear(rules, answer, std::max<size_t>(answer.size(), 1), closes, advice);
  CHECK(hear(rules, answer, 1, closes, advice) == whole);
  if (answer.size() > 4096) return whole;
  for (size_t cut = 1; cut < answer.size(); ++cut) {
    auto dialog = make_health_dialog({rules, "cloud.example.tld", "rOprNGfwEbeRWgbNEkqO", advice});
    dialog->start();
    dialog->feed(as_bytes(answer.substr(0, cut)));
    Heard cut_in_two{dialog->feed(as_bytes(answer.substr(cut))), {}, {}};
    if (closes) cut_in_two.verdict = dialog->end();
    cut_in_two.reason = dialog->reason();
    cut_in_two.said = dialog->take_output();
    CAPTURE(cut);
    REQUIRE(cut_in_two == whole);
  }
  return whole;
}

struct Row {
  std::string answer;
  std::string reason;  // empty: passed
  bool closes = false;
};

void check_rows(const config::Health& rules, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.answer);
    const Heard heard = hear_in_pieces(rules, row.answer, row.closes);
    CHECK(heard.reason == row.reason);
    CHECK((heard.verdict == Verdict::passed) == row.reason.empty());
    if (!row.reason.empty()) CHECK(heard.verdict == Verdict::failed);
  }
}

std::string u32(size_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
  return out;
}

std::string postgres(char type, std::string_view body) {
  return std::string(1, type) + u32(4 + body.size()) + std::string(body);
}
std::string postgres_error(std::string_view state, std::string_view message) {
  return postgres('E', "SFATAL\0VFATAL\0C"s + std::string(state) + "\0M"s + std::string(message) + "\0\0"s);
}

std::string mysql(uint8_t sequence, std::string_view body) {
  std::string out;
  for (int shift = 0; shift < 24; shift += 8) out.push_back(static_cast<char>(body.size() >> shift & 0xff));
  out.push_back(static_cast<char>(sequence));
  return out.append(body);
}
std::string mysql_error(uint8_t sequence, uint16_t code, std::string_view text) {
  std::string body = "\xff";
  body.push_back(static_cast<char>(code & 0xff));
  body.push_back(static_cast<char>(code >> 8));
  return mysql(sequence, body.append(text));
}
constexpr std::string_view kScramble = "abcdefghijklmnopqrst";
std::string mysql_greeting(std::string_view plugin) {
  std::string body =
      "\x0a"
      "8.4.3\0\x07\0\0\0"s;
  body.append(kScramble.substr(0, 8)).append("\0\xff\xf7\x21\x02\0\xff\x81\x15"s).append(10, '\0');
  body.append(kScramble.substr(8)).push_back('\0');
  return mysql(0, body.append(plugin).append("\0"s));
}

}  // namespace

TEST_CASE("health dialog: tcp and tls ask nothing") {
  for (Type type : {Type::tcp, Type::tls}) {
    auto rules = rules_of(type);
    auto dialog = make_health_dialog({rules, "h", "n", {}});
    CHECK(dialog->start() == Verdict::passed);
    CHECK(dialog->take_output().empty());
  }
}

TEST_CASE("health dialog: http sends one request") {
  auto rules = rules_of(Type::http);
  CHECK(hear(rules, "", 1, false).said ==
        "GET / HTTP/1.1\r\nHost: cloud.example.tld\r\nUser-Agent: sallyport-health\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n");
  rules.method = "POST";
  rules.path = "/health?full=1";
  CHECK(hear(rules, "", 1, false).said ==
        "POST /health?full=1 HTTP/1.1\r\nHost: cloud.example.tld\r\nUser-Agent: sallyport-health\r\nAccept: */*\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("health dialog: http judges the status") {
  check_rows(rules_of(Type::http),
             {
                 {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
                 {"HTTP/1.0 204 No Content\r\n\r\n", ""},
                 {"HTTP/1.1 399 \r\n\r\n", ""},
                 {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 302 "
                  "Found\r\nLocation: /x\r\n\r\n",
                  ""},
                 {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "status 503, expected 200-399"},
                 {"HTTP/1.1 404 Not Found\r\n\r\n", "status 404, expected 200-399"},
                 {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                  "status 101, expected 200-399"},
                 {"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\noops", "status 400, expected 200-399"},
                 {"HTTP/1.1 400 Bad Request\r\n\r\nno le", "status 400, expected 200-399", true},
                 {"", "it closed without an answer", true},
                 {"HTTP/1.1 20", "it closed after \"HTTP/1.1 20\"", true},
                 {"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP answer: \"SSH-2.0-OpenSSH_9.2\""},
                 {"220 mail\x01\r\n", "not an HTTP answer: \"220 mail\\x01\""},
                 {"HTTP/1.1 999999 what\r\n\r\n", "an answer that is not valid HTTP: bad status line"},
             });
  auto rules = rules_of(Type::http);
  rules.expect = {{200, 299}, {401, 401}};
  check_rows(rules, {
                        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ""},
                        {"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "status 301, expected 200-299, 401"},
                    });
}

TEST_CASE("health dialog: http looks for a text in the body, not in the chunks that carry it") {
  auto rules = rules_of(Type::http);
  rules.body = "\"status\":\"ok\"";
  const std::string head = "HTTP/1.1 200 OK\r\n";
  check_rows(
      rules,
      {
          {head + "Content-Length: 17\r\n\r\n{ \"status\":\"ok\" }", ""},
          {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n9\r\ntus\":\"ok\"\r\n1\r\n}\r\n0\r\n\r\n", ""},
          {head + "\r\n{\"status\":\"ok\"}", "", true},
          {head + "\r\n{\"status\":\"bad\"}", "status 200, but no \"\\\"status\\\":\\\"ok\\\"\" in its body", true},
          {head + "Content-Length: 0\r\n\r\n", "status 200, but no \"\\\"status\\\":\\\"ok\\\"\" in its body"},
          {head + "Content-Length: 9\r\n\r\n{\"st", "it closed in the middle of its answer", true},
          {"HTTP/1.1 500 Oh\r\nContent-Length: 17\r\n\r\n{ \"status\":\"ok\" }", "status 500, expected 200-399"},
      });
  const std::string filler(1024 * 1024 - 5, 'x');
  CHECK(hear(rules, head + "\r\n" + filler + rules.body, 4096, false).reason ==
        "status 200, but no \"\\\"status\\\":\\\"ok\\\"\" in the first MiB of its body");
  CHECK(hear(rules, head + "\r\n" + filler.substr(rules.body.size()) + rules.body, 4096, false).verdict ==
        Verdict::passed);
  // The chunks' own bytes count as well.
  std::string crumbs = head + "Transfer-Encoding: chunked\r\n\r\n";
  while (crumbs.size() < 1200 * 1024) crumbs += "1\r\nx\r\n";
  CHECK(hear(rules, crumbs, 4096, false).verdict == Verdict::failed);
}

TEST_CASE("health dialog: a server that speaks TLS is told from a broken one") {
  const std::string head = "HTTP/1.1 400 Bad Request\r\n";
  const std::vector<Row> rows = {
      {"\x15\x03\x01\0\x02\x02\x46"s, std::string(kAdvice)},
      {"\x15\x03\x03\0\x02\x02\x28"s, std::string(kAdvice)},
      {head + "Content-Length: 58\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</cen",
       std::string(kAdvice)},
      {"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", std::string(kAdvice), true},
      {head + "Connection: close\r\n\r\n<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
       std::string(kAdvice), true},
      {"\x15\x03", "it closed after \"\\x15\\x03\"", true},
  };
  check_rows(rules_of(Type::http), rows);
  // Under TLS the same words are only words.
  CHECK(hear_in_pieces(rules_of(Type::https), rows[3].answer, true, {}).reason == "status 400, expected 200-399");
  for (Type type : {Type::redis, Type::postgres, Type::mysql})
    CHECK(hear_in_pieces(rules_of(type), rows[0].answer, true).reason == kAdvice);
}

TEST_CASE("health dialog: ssh wants a banner, which other lines may precede") {
  auto rules = rules_of(Type::ssh);
  check_rows(rules,
             {
                 {"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", ""},
                 {"SSH-1.99-Cisco-1.25\n", ""},
                 {"Welcome\r\n  to this host\r\n\r\nSSH-2.0-x\r\n", ""},
                 {"SSH-1.5-old\r\n", "\"SSH-1.5-old\" does not speak SSH 2"},
                 {"Exceeded MaxStartups\r\n", "it closed without an SSH banner, after \"Exceeded MaxStartups\"", true},
                 {"HTTP/1.1 400 Bad Request\r\n\r\n",
                  "it closed without an SSH banner, after \"HTTP/1.1 400 Bad Request\"", true},
                 {"SSH-2.0-cut", "it closed after \"SSH-2.0-cut\"", true},
                 {"", "it closed without an answer", true},
                 {std::string(70'000, 'x'), "an answer of over 64 KiB"},
                 {[] {
                    std::string many;
                    while (many.size() < 70'000) many += "line\r\n";
                    return many;
                  }(),
                  "an answer of over 64 KiB"},
             });
  CHECK(hear(rules, "SSH-2.0-x\r\n", 1, false).said == "SSH-2.0-sallyport-health\r\n");
}

TEST_CASE("health dialog: smtp greets and says EHLO") {
  auto rules = rules_of(Type::smtp);
  check_rows(rules, {
                        {"220 mail.example.tld ESMTP\r\n250 mail\r\n", ""},
                        {"220-mail\r\n220-hello\r\n220 ESMTP\r\n250-mail\r\n250-PIPELINING\r\n250 8BITMIME\r\n", ""},
                        {"220\r\n250\r\n", ""},
                        {"554 no service\r\n", "it greets with \"554 no service\", expected 220"},
                        {"421-busy\r\n421 come later\r\n", "it greets with \"421 come later\", expected 220"},
                        {"220 x\r\n502 what\r\n", "EHLO is answered with \"502 what\", expected 250"},
                        {"+OK POP3\r\n", "not an SMTP answer: \"+OK POP3\""},
                        {"2200 x\r\n", "not an SMTP answer: \"2200 x\""},
                        {"220 x\r\n", "it closed in the middle of the dialog", true},
                    });
  CHECK(hear(rules, "220 x\r\n", 1, false).said == "EHLO localhost\r\n");
  CHECK(hear(rules, "220 x\r\n250 x\r\n", 1, false).said == "EHLO localhost\r\nQUIT\r\n");
  CHECK(hear(rules, "554 x\r\n", 1, false).said == "QUIT\r\n");
}

TEST_CASE("health dialog: redis answers a ping, and takes a password") {
  auto rules = rules_of(Type::redis);
  CHECK(hear(rules, "", 1, false).said == "*1\r\n$4\r\nPING\r\n");
  check_rows(rules, {
                        {"+PONG\r\n", ""},
                        {"-NOAUTH Authentication required.\r\n", "this server wants a password"},
                        {"-LOADING Redis is loading the dataset in memory\r\n",
                         "it is not ready: \"LOADING Redis is loading the dataset in memory\""},
                        {"-DENIED Redis is running in protected mode\r\n",
                         "PING is answered with the error \"DENIED Redis is running in protected mode\""},
                        {"+OK\r\n", "PING is answered with \"+OK\""},
                        {"HTTP/1.1 400 Bad Request\r\n", "PING is answered with \"HTTP/1.1 400 Bad Request\""},
                    });
  rules.password = "s3cret\r\n";
  CHECK(hear(rules, "+OK\r\n+PONG\r\n", 1, false).said ==
        "*2\r\n$4\r\nAUTH\r\n$8\r\ns3cret\r\n\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n");
  check_rows(rules, {
                        {"+OK\r\n+PONG\r\n", ""},
                        {"-WRONGPASS invalid username-password pair\r\n",
                         "AUTH is answered with the error \"WRONGPASS invalid username-password pair\""},
                        {"+OK\r\n-LOADING x\r\n", "it is not ready: \"LOADING x\""},
                    });
  rules.user = "health";
  CHECK(hear(rules, "", 1, false).said == "*3\r\n$4\r\nAUTH\r\n$6\r\nhealth\r\n$8\r\ns3cret\r\n\r\n");
}

TEST_CASE("health dialog: postgres without a user asks whether logins are taken") {
  auto rules = rules_of(Type::postgres);
  const std::string parameters = "user\0sallyport\0database\0postgres\0application_name\0sallyport-health\0\0"s;
  CHECK(hear(rules, "", 1, false).said == u32(8 + parameters.size()) + u32(196608) + parameters);
  check_rows(rules, {
                        {postgres('R', u32(10) + "SCRAM-SHA-256\0\0"s), ""},
                        {postgres('R', u32(5) + "salt"), ""},
                        {postgres('R', u32(0)), ""},
                        {postgres('N', "SNOTICE\0\0"s) + postgres('R', u32(3)), ""},
                        {postgres_error("28000", "no pg_hba.conf entry"), ""},
                        {postgres_error("28P01", "password authentication failed"), ""},
                        {postgres_error("57P03", "the database system is starting up"),
                         "PostgreSQL error 57P03: the database system is starting up"},
                        {postgres_error("53300", "sorry, too many clients already"),
                         "PostgreSQL error 53300: sorry, too many clients already"},
                        {"HTTP/1.1 400 Bad Request\r\n", "not a PostgreSQL answer: \"HTTP/1.1 400 Bad Request\""},
                        {"SSH-2.0-OpenSSH\r\n", "not a PostgreSQL answer: \"SSH-2.0-OpenSSH\""},
                        {postgres('R', "\0"s), "a malformed authentication request"},
                        {"R\0\0\0\x08"s, "it closed after \"R\\x00\\x00\\x00\\x08\"", true},
                        {"", "it closed without an answer", true},
                    });
  // A server that waits for a password would log anything but the end as an error.
  CHECK(hear(rules, postgres('R', u32(5) + "salt"), 1, false).said == hear(rules, "", 1, false).said);
}

TEST_CASE("health dialog: postgres logs in where there is a user") {
  auto rules = rules_of(Type::postgres);
  rules.user = "health";
  const std::string ready = postgres('R', u32(0)) +
                            postgres('S',
                                     "server_version\0"
                                     "16\0"s) +
                            postgres('K', "12345678") + postgres('Z', "I");
  const std::string start = hear(rules, "", 1, false).said;
  const std::string bye = postgres('X', "");
  check_rows(rules,
             {
                 {ready, ""},
                 {postgres('R', u32(0)) + postgres_error("3D000", "database does not exist"), ""},
                 {postgres('R', u32(0)) + postgres_error("53300", "too many"), "PostgreSQL error 53300: too many"},
                 {postgres_error("28000", "no entry\n"), "PostgreSQL error 28000: no entry\\x0a"},
                 {postgres('R', u32(3)), "this server wants a password"},
                 {postgres('R', u32(7)), "it wants an authentication that checks do not have: GSSAPI"},
             });
  CHECK(hear(rules, ready, 1, false).said == start + bye);

  rules.password = "pencil";
  CHECK(hear_in_pieces(rules, postgres('R', u32(3)) + ready, false).said == start + postgres('p', "pencil\0"s) + bye);
  // md5(md5("pencil" "health") "salt"), as PostgreSQL's own client sends it.
  CHECK(hear_in_pieces(rules, postgres('R', u32(5) + "salt") + ready, false).said ==
        start + postgres('p', "md5" + md5_hex(md5_hex("pencilhealth") + "salt") + "\0"s) + bye);
  check_rows(rules,
             {
                 {postgres('R', u32(3)) + postgres_error("28P01", "password authentication failed for user \"health\""),
                  "PostgreSQL error 28P01: password authentication failed for user \\\"health\\\""},
                 {postgres('R', u32(10) + "SCRAM-SHA-512\0\0"s),
                  "it wants an authentication that checks do not have: not SCRAM-SHA-256"},
                 {postgres('R', u32(11) + "r=x"), "a malformed authentication request"},
                 {postgres('R', u32(10) + "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s) +
                      postgres('R', u32(11) + "r=other,s=AA==,i=1"),
                  "a malformed SCRAM challenge"},
             });
}

TEST_CASE("health dialog: postgres with SCRAM-SHA-256") {
  auto rules = rules_of(Type::postgres);
  rules.user = "health";
  rules.password = "pencil";
  const std::string nonce = "rOprNGfwEbeRWgbNEkqO";
  const std::string challenge = "r=" + nonce + "srv,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  const std::string begin = postgres('R', u32(10) + "SCRAM-SHA-256\0\0"s) + postgres('R', u32(11) + challenge);
  const std::string said = hear_in_pieces(rules, begin, false).said;
  const std::string first = "n,,n=,r=" + nonce;
  CHECK_THAT(said, test::holding(postgres('p', "SCRAM-SHA-256\0"s + u32(first.size()) + first)));
  CHECK_THAT(said, test::holding("c=biws,r=" + nonce + "srv,p="));
  const std::string message = "n=,r=" + nonce + "," + challenge + ",c=biws,r=" + nonce + "srv";
  const std::string salted = pbkdf2_sha256("pencil", *from_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  const auto mac = [](std::string_view key, std::string_view text) {
    const auto digest = hmac_sha256(as_bytes(key), as_bytes(text));
    return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  const std::string signature = base64(as_bytes(mac(mac(salted, "Server Key"), message)));
  check_rows(rules,
             {
                 {begin + postgres('R', u32(12) + "v=" + signature) + postgres('R', u32(0)) + postgres('Z', "I"), ""},
                 {begin + postgres('R', u32(12) + "v=AAAA"),
                  "the server does not know the password either (its SCRAM signature is wrong)"},
             });
}

TEST_CASE("health dialog: mysql without a user ends as one who is refused") {
  auto rules = rules_of(Type::mysql);
  const std::string greeting = mysql_greeting("caching_sha2_password");
  check_rows(rules, {
                        {greeting + mysql_error(2, 1045, "#28000Access denied for user 'sallyport'@'10.0.0.1'"), ""},
                        {greeting + mysql(2, "\0\0\0\x02\0\0\0"s), ""},
                        {greeting, "", true},
                        {greeting +
                             mysql(2,
                                   "\xfe"
                                   "mysql_native_password\0"s +
                                       std::string(kScramble) + "\0"s) +
                             mysql_error(4, 1045, "#28000No"),
                         ""},
                        {greeting +
                             mysql(2,
                                   "\xfe"
                                   "client_ed25519\0"s +
                                       std::string(32, 'x')) +
                             mysql_error(4, 1698, "#28000No"),
                         ""},
                        {greeting + mysql_error(2, 3159, "#HY000Insecure transport"), ""},
                        {mysql_error(0, 1040, "#08004Too many connections"), "MySQL error 1040: Too many connections"},
                        {mysql_error(0, 1129, "Host '10.0.0.1' is blocked because of many connection errors"),
                         "MySQL error 1129: Host '10.0.0.1' is blocked because of many connection errors"},
                        {mysql_error(0, 1130, "Host '10.0.0.1' is not allowed"),
                         "MySQL error 1130: Host '10.0.0.1' is not allowed"},
                        {greeting + mysql_error(2, 1053, "#08S01Server shutdown in progress"),
                         "MySQL error 1053: Server shutdown in progress"},
                        {"HTTP/1.1 400 Bad Request\r\n", "not a MySQL packet: \"HTTP/1.1 400 Bad Request\""},
                        {"SSH-2.0-x\r\n", "not a MySQL packet: \"SSH-2.0-x\""},
                        {mysql(0, "\x09old\0"s), "a greeting that MySQL does not have"},
                        {"", "it closed without an answer", true},
                    });
  const std::string said = hear(rules, greeting, 1, false).said;
  CHECK(said.substr(3, 1) == "\x01");
  CHECK_THAT(said, test::holding("sallyport\0\0caching_sha2_password\0"s));
}

TEST_CASE("health dialog: mysql logs in where there is a user") {
  auto rules = rules_of(Type::mysql);
  rules.user = "health";
  const std::string ok = "\0\0\0\x02\0\0\0"s;
  const std::string quit = mysql(0, "\x01");
  const std::string switched = mysql(2,
                                     "\xfe"
                                     "mysql_native_password\0"s +
                                         std::string(kScramble) + "\0"s);
  const std::string greeting = mysql_greeting("caching_sha2_password");

  check_rows(rules,
             {
                 {greeting + mysql(2, ok), ""},
                 {greeting + switched + mysql(4, ok), ""},
                 {greeting + mysql_error(2, 1045, "#28000Access denied for user 'health'"),
                  "MySQL error 1045: Access denied for user 'health'"},
                 {greeting +
                      mysql(2,
                            "\xfe"
                            "client_ed25519\0"s +
                                std::string(32, 'x')) +
                      mysql(4, ok),
                  ""},
                 {greeting + mysql(2, "\xfe"), "this server wants the old password hash of MySQL 3.23"},
                 {greeting + switched + switched + switched, "this server does not make up its mind how to log in"},
                 {greeting + mysql(2, "\x01\x04"), "this server wants a password"},
                 {greeting, "it closed in the middle of the dialog", true},
             });
  CHECK_THAT(hear(rules, greeting + mysql(2, ok), 1, false).said,
             test::holding("health\0\0caching_sha2_password\0"s + quit));

  rules.password = "pencil";
  // What the manual prescribes, spelled out.
  const auto sha1_of = [](std::string_view text) {
    const auto digest = sha1(as_bytes(text));
    return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  std::string native = sha1_of("pencil");
  const std::string native_mask = sha1_of(std::string(kScramble) + sha1_of(native));
  for (size_t i = 0; i < native.size(); ++i) native[i] = static_cast<char>(native[i] ^ native_mask[i]);
  std::string sha2 = sha256("pencil");
  const std::string sha2_mask = sha256(sha256(sha2) + std::string(kScramble));
  for (size_t i = 0; i < sha2.size(); ++i) sha2[i] = static_cast<char>(sha2[i] ^ sha2_mask[i]);

  CHECK_THAT(hear_in_pieces(rules, mysql_greeting("mysql_native_password") + mysql(2, ok), false).said,
             test::holding("health\0\x14"s + native + "mysql_native_password\0"s + quit));
  CHECK_THAT(hear_in_pieces(rules, greeting + mysql(2, "\x01\x03") + mysql(3, ok), false).said,
             test::holding("health\0\x20"s + sha2 + "caching_sha2_password\0"s + quit));
  CHECK_THAT(hear_in_pieces(rules, greeting + switched + mysql(4, ok), false).said,
             test::holding(mysql(3, native) + quit));
  // The server forgot: it wants the password itself, for its key.
  CHECK_THAT(hear_in_pieces(rules, greeting + mysql(2, "\x01\x04"), false).said, test::holding(mysql(3, "\x02")));
  check_rows(rules, {
                        {greeting + mysql(2, "\x01\x04") + mysql(4, "\x01no key"),
                         "the server's key for passwords cannot be used"},
                        {greeting + mysql(2,
                                          "\xfe"
                                          "client_ed25519\0"s +
                                              std::string(32, 'x')),
                         "the user \"health\" logs in with \"client_ed25519\", which checks do not have"},
                    });
}

TEST_CASE("health dialog: whether the server has understood anything is remembered") {
  const auto understood = [](const config::Health& rules, std::string_view answer) {
    auto dialog = make_health_dialog({rules, "h", "n", kAdvice});
    dialog->start();
    dialog->feed(as_bytes(answer));
    return dialog->understood();
  };
  CHECK_FALSE(understood(rules_of(Type::http), "HTTP/1.1 400 Bad Request\r\n\r\n"));
  CHECK(understood(rules_of(Type::http), "HTTP/1.1 503 No\r\n\r\n"));
  // PROXY… was a command to it.
  CHECK_FALSE(understood(rules_of(Type::smtp), "220 x\r\n502 what\r\n"));
  CHECK_FALSE(understood(rules_of(Type::redis), "-ERR unknown command 'PROXY'\r\n"));
  CHECK_FALSE(understood(rules_of(Type::mysql),
                         mysql_greeting("mysql_native_password") + mysql_error(2, 1043, "#08S01Bad handshake")));
  CHECK(understood(rules_of(Type::postgres), postgres_error("57P03", "starting")));
}

}  // namespace sallyport
