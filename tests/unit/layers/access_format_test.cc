// The line that is left of a request or a connection, in each format.
#include <algorithm>
#include <regex>
#include <set>

#include "catch.h"
#include "layers/access_format.h"

namespace sallyport {
namespace {

using namespace std::string_literals;

std::string without_time(std::string_view line) {
  return std::regex_replace(std::string(line), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"), "TIME");
}

AccessRecord full_record() {
  AccessRecord record;
  record.client = *Address::parse("[::ffff:192.0.2.7]:5555");
  record.listener = "https";
  record.service = "cloud";
  record.server = "10.0.0.14:443";
  record.mode = "reencrypt";
  record.sni = "cloud.example.tld";
  record.host = "cloud.example.tld";
  record.method = "GET";
  record.path = "/a?b=\"c\"";
  record.status = 200;
  record.bytes_in = 120;
  record.bytes_out = 18'446'744'073'709'551'615u;
  record.handshake_ms = 4;
  record.connect_ms = 0;
  record.first_byte_ms = 12;
  record.total_ms = 15;
  record.end = End::client_cut;
  record.reason = "it\nwent";
  record.protocol = "HTTP/1.1";
  record.referer = "https://a.tld/";
  record.user_agent = "Mozilla/5.0 (X11)";
  record.tls = true;
  record.retries = 1;
  record.counts = {7, 5, 3};
  return record;
}


config::LogPattern pattern(std::string_view text) {
  auto parsed = config::parse_log_format(text);
  REQUIRE(parsed);
  return *parsed;
}

std::string by_pattern(const AccessRecord& record, std::string_view text) {
  std::string line;
  append_access_pattern(line, record, pattern(text));
  REQUIRE(line.back() == '\n');
  line.pop_back();
  return line;
}

// std::regex takes stack for each character: not for long ones.
std::string without_strings(const std::string& json) {
  std::string out;
  for (size_t i = 0; i < json.size(); ++i) {
    out += json[i] == '"' ? 'Q' : json[i];
    if (json[i] != '"') continue;
    for (++i; i < json.size() && json[i] != '"'; ++i)
      if (json[i] == '\\') ++i;
  }
  return out;
}

std::string as_haproxy(const AccessRecord& record) {
  std::string line;
  append_access_haproxy(line, record, 9);
  return std::regex_replace(line, std::regex(R"(\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\])"), "[TIME]");
}

// What a client may try: a line of its own, a field of its own, a terminal's attention.
const std::string kHostile[] = {"\r\nTIME access client=10.0.0.1"s, "\" status=200 x=\""s, "\\\" end=ok"s, " 200 17 - "s,
                                "] \"GET / HTTP/1.1\" 200"s, "}}{{ {client} #22 | , ; \t"s,
                                "\0\x1b[2J\x7f\x80\xff"s, std::string(100'000, 'a'), "\xe2\x80\xa8"s};

}  // namespace

TEST_CASE("access log: a full line, and a bare one, as text") {
  TextBuffer line;
  append_access_text(line, full_record());
  CHECK(without_time(line.view()) ==
        "TIME access client=192.0.2.7 listener=https service=cloud server=10.0.0.14:443 mode=reencrypt "
        "sni=\"cloud.example.tld\" host=\"cloud.example.tld\" method=\"GET\" path=\"/a?b=\\\"c\\\"\" status=200 in=120 "
        "out=18446744073709551615 handshake_ms=4 connect_ms=0 first_byte_ms=12 total_ms=15 end=client_cut "
        "reason=\"it\\x0awent\"\n");
  line.clear();
  append_access_text(line, AccessRecord{});
  CHECK(without_time(line.view()) == "TIME access in=0 out=0 end=ok\n");
}

TEST_CASE("access log: a full line, and a bare one, as JSON") {
  TextBuffer line;
  append_access_json(line, full_record());
  CHECK(
      without_time(line.view()) ==
      R"({"time":"TIME","type":"access","client":"192.0.2.7","listener":"https","service":"cloud",)"
      R"("server":"10.0.0.14:443","mode":"reencrypt","sni":"cloud.example.tld","host":"cloud.example.tld",)"
      R"("method":"GET","path":"/a?b=\"c\"","status":200,"bytes_in":120,"bytes_out":18446744073709551615,)"
      R"("handshake_ms":4,"connect_ms":0,"first_byte_ms":12,"total_ms":15,"end":"client_cut","reason":"it\u000awent"})"
      "\n");
  line.clear();
  append_access_json(line, AccessRecord{});
  CHECK(without_time(line.view()) == R"({"time":"TIME","type":"access","bytes_in":0,"bytes_out":0,"end":"ok"})"
                                     "\n");
}

TEST_CASE("access log: nothing that a client sends makes a second line, a second field, or a line without end") {
  for (const std::string& hostile : kHostile) {
    AccessRecord record = full_record();
    record.sni = record.host = record.method = record.path = record.reason = hostile;
    TextBuffer text, json;
    append_access_text(text, record);
    append_access_json(json, record);
    const std::string text_line(text.view()), json_line(json.view());
    CAPTURE(hostile.substr(0, 40));
    CHECK(text_line.find('\n') == text_line.size() - 1);
    CHECK(json_line.find('\n') == json_line.size() - 1);
    for (char c : text_line + json_line) CHECK((c == '\n' || static_cast<unsigned char>(c) >= 0x20));
    CHECK(text_line.size() < 5 * 600 + 400);
    // Outside quotes there is no other status than ours.
    std::string bare = std::regex_replace(text_line, std::regex(R"("([^"\\]|\\.)*")"), "Q");
    CHECK(bare.find("status=200 in=120") != std::string::npos);
    CHECK(bare.find("status=", bare.find("status=") + 1) == std::string::npos);
    CHECK(bare.find('"') == std::string::npos);
  }
}

TEST_CASE("access log: a pattern's placeholders") {
  struct Row {
    const char* pattern;
    const char* full;
    const char* bare;  // of a record that says nothing
  };
  for (const Row& row : {
           Row{"{client}:{client_port}", "192.0.2.7:5555", "-:-"},
           Row{"{listener} {service} {server} {mode}", "https cloud 10.0.0.14:443 reencrypt", "- - - -"},
           Row{"{service}/{server} {path}", R"(cloud/10.0.0.14:443 /a?b=\"c\")", "-/- -"},
           Row{"{sni}, {host}", "cloud.example.tld, cloud.example.tld", "-, -"},
           Row{"{method} {protocol} {status}", "GET HTTP/1.1 200", "- - -"},
           Row{"\"{request}\"", R"("GET /a?b=\"c\" HTTP/1.1")", "\"-\""},
           Row{"[{request}]", R"([GET\x20/a?b=\"c\"\x20HTTP/1.1])", "[-]"},
           Row{"{in}/{out}", "120/18446744073709551615", "0/0"},
           Row{"{handshake_ms} {connect_ms} {first_byte_ms} {total_ms}", "4 0 12 15", "- - - -"},
           Row{"{end} {reason}", R"(client_cut it\x0awent)", "ok -"},
           Row{"\"{referer}\" \"{user_agent}\"", R"re("https://a.tld/" "Mozilla/5.0 (X11)")re", R"("-" "-")"},
           Row{"{user_agent}", R"(Mozilla/5.0\x20(X11))", "-"},
           Row{"{user_agent}) {path}/", R"(Mozilla\x2f5.0\x20(X11\x29) \x2fa?b=\"c\"/)", "-) -/"},
           Row{"{{{method}}} 100%", "{GET} 100%", "{-} 100%"},
           Row{R"({{"a":{path:json},"s":{status:json},"c":{client:json},"ms":{total_ms:json}}})",
               R"({"a":"/a?b=\"c\"","s":200,"c":"192.0.2.7","ms":15})", R"({"a":null,"s":null,"c":null,"ms":null})"},
       }) {
    CAPTURE(row.pattern);
    CHECK(by_pattern(full_record(), row.pattern) == row.full);
    CHECK(by_pattern(AccessRecord{}, row.pattern) == row.bare);
  }
  CHECK(std::regex_match(by_pattern({}, "{time}"), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  CHECK(std::regex_match(by_pattern({}, "{time_clf}"), std::regex(R"(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)")));
  CHECK(std::regex_match(by_pattern({}, "{time_unix}"), std::regex(R"(\d{10}\.\d{3})")));
}

TEST_CASE("access log: the time of a pattern is when it began") {
  AccessRecord record;
  const double now = std::stod(by_pattern(record, "{time_unix}"));
  record.total_ms = 3'600'250;
  const double then = std::stod(by_pattern(record, "{time_unix}"));
  CHECK(now - then > 3600.2);
  CHECK(now - then < 3660);
}

TEST_CASE("access log: combined, as Apache and nginx write it") {
  const std::regex time(R"(\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\])");
  CHECK(std::regex_replace(by_pattern(full_record(), config::kCombinedFormat), time, "[TIME]") ==
        R"re(192.0.2.7 - - [TIME] "GET /a?b=\"c\" HTTP/1.1" 200 18446744073709551615 "https://a.tld/" "Mozilla/5.0 (X11)")re");
  CHECK(std::regex_replace(by_pattern({}, config::kCombinedFormat), time, "[TIME]") == R"(- - - [TIME] "-" - 0 "-" "-")");
  CHECK(pattern(config::kCombinedFormat).wants_headers);
  CHECK_FALSE(pattern("{client} {request}").wants_headers);
}

TEST_CASE("access log: a pattern's fields are as many as it has, whatever a client says") {
  for (const std::string& hostile : kHostile) {
    CAPTURE(hostile.substr(0, 40));
    AccessRecord record = full_record();
    record.sni = record.host = record.method = record.path = record.reason = record.referer = record.user_agent = hostile;
    const std::string combined = by_pattern(record, config::kCombinedFormat);
    CHECK(std::regex_match(
        combined, std::regex(R"re(192\.0\.2\.7 - - \[[^\]]+\] "[^" ]*(\\"[^" ]*)* [^ ]* HTTP/1.1" 200 \d+ "([^"\\]|\\.)*" "([^"\\]|\\.)*")re")));
    const std::string spaced = by_pattern(record, "{host} {path} {status} {user_agent}");
    CHECK(std::count(spaced.begin(), spaced.end(), ' ') == 3);
    const std::string piped = by_pattern(record, "{sni}|{method}|{referer}|{status}");
    CHECK(std::count(piped.begin(), piped.end(), '|') == 3);
    const std::string bracketed = by_pattern(record, "[{user_agent}] {host}");
    CHECK(std::count(bracketed.begin(), bracketed.end(), ']') == 1);
    const std::string tabbed = by_pattern(record, "{user_agent}\t{host}");
    CHECK(std::count(tabbed.begin(), tabbed.end(), '\t') == 1);
    const std::string json = by_pattern(record, R"({{"h":{host:json},"u":{user_agent:json}}})");
    CHECK(without_strings(json) == "{Q:Q,Q:Q}");
    for (char c : combined + spaced + piped + bracketed + json) CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
}

TEST_CASE("access log: HAProxy's layouts") {
  CHECK(as_haproxy(full_record()) ==
        "192.0.2.7:5555 [TIME] https~ cloud/10.0.0.14:443 0/0/0/12/15 200 18446744073709551615 - - CD-- 9/7/5/3/1 0/0 "
        "\"GET /a?b=#22c#22 HTTP/1.1\"\n");
  AccessRecord tunnel = full_record();
  tunnel.status = 0;
  tunnel.method = tunnel.path = "";
  tunnel.tls = false;
  tunnel.end = End::ok;
  tunnel.bytes_out = 10;
  CHECK(as_haproxy(tunnel) == "192.0.2.7:5555 [TIME] https cloud/10.0.0.14:443 0/0/15 10 -- 9/7/5/3/1 0/0\n");
  AccessRecord bad;
  bad.client = *Address::parse("[2001:db8::1]:80");
  bad.listener = "http";
  bad.status = 400;
  bad.end = End::bad_request;
  bad.total_ms = 1;
  CHECK(as_haproxy(bad) == "2001:db8::1:80 [TIME] http http/<NOSRV> 0/-1/-1/-1/1 400 0 - - PR-- 9/0/0/0/0 0/0 \"<BADREQ>\"\n");
  for (const std::string& hostile : kHostile) {
    AccessRecord record = full_record();
    record.sni = record.host = record.method = record.path = record.reason = record.referer = record.user_agent = hostile;
    const std::string line = as_haproxy(record);
    CAPTURE(line);
    CHECK(std::count(line.begin(), line.end(), '\n') == 1);
    CHECK(std::count(line.begin(), line.end(), '"') == 2);
    CHECK(std::count(line.begin(), line.end(), ' ') == 14);
    CHECK(line.size() < 7000);
  }
}

TEST_CASE("access log: how it ended, in HAProxy's two letters") {
  struct Row {
    End end;
    int status;
    bool asked, connected, answered;
    const char* expected;
  };
  for (const Row& row : {
           Row{End::ok, 200, true, true, true, "--"},
           Row{End::ok, 308, true, false, false, "LR"},
           Row{End::ok, 0, false, true, true, "--"},
           Row{End::client_cut, 200, true, true, true, "CD"},
           Row{End::client_closed, 0, true, true, false, "CH"},
           Row{End::client_cut, 0, true, false, false, "CC"},
           Row{End::client_timeout, 408, false, false, false, "cR"},
           Row{End::client_timeout, 0, false, true, true, "cD"},
           Row{End::server_closed, 502, true, true, false, "SH"},
           Row{End::server_cut, 200, true, true, true, "SD"},
           Row{End::server_timeout, 504, true, true, false, "sH"},
           Row{End::server_timeout, 504, true, false, false, "sC"},
           Row{End::server_refused, 502, true, false, false, "SC"},
           Row{End::no_server, 503, true, false, false, "SC"},
           Row{End::denied, 403, true, false, false, "PR"},
           Row{End::no_route, 404, true, false, false, "PR"},
           Row{End::limit, 503, true, false, false, "PQ"},
           Row{End::drain, 200, true, true, true, "KD"},
           Row{End::internal, 500, true, true, false, "IH"},
       }) {
    AccessRecord record;
    record.service = "a";
    record.end = row.end;
    record.status = row.status;
    if (row.asked) record.method = "GET";
    if (row.connected) record.connect_ms = 1, record.server = "s";
    if (row.answered) record.first_byte_ms = 2;
    CAPTURE(name_of(row.end), row.status);
    const Termination found = termination_of(record);
    CHECK(std::string{found.who, found.when} == row.expected);
  }
}

TEST_CASE("access log: fields for journald") {
  TextBuffer written;
  append_access_fields(written, full_record());
  const std::string fields(written.view());
  CHECK(fields ==
        "SALLYPORT_CLIENT=192.0.2.7\nSALLYPORT_LISTENER=https\nSALLYPORT_SERVICE=cloud\nSALLYPORT_SERVER=10.0.0.14:443\n"
        "SALLYPORT_MODE=reencrypt\nSALLYPORT_SNI=cloud.example.tld\nSALLYPORT_HOST=cloud.example.tld\n"
        "SALLYPORT_METHOD=GET\nSALLYPORT_PATH=/a?b=\\\"c\\\"\nSALLYPORT_STATUS=200\nSALLYPORT_BYTES_IN=120\n"
        "SALLYPORT_BYTES_OUT=18446744073709551615\nSALLYPORT_HANDSHAKE_MS=4\nSALLYPORT_CONNECT_MS=0\n"
        "SALLYPORT_FIRST_BYTE_MS=12\nSALLYPORT_TOTAL_MS=15\nSALLYPORT_END=client_cut\nSALLYPORT_REASON=it\\x0awent\n");
  for (const std::string& hostile : kHostile) {
    AccessRecord record = full_record();
    record.sni = record.host = record.method = record.path = record.reason = hostile;
    TextBuffer again;
    append_access_fields(again, record);
    const std::string_view out = again.view();
    CHECK(std::count(out.begin(), out.end(), '\n') == std::count(fields.begin(), fields.end(), '\n'));
    CHECK(out.find("\n\n") == std::string_view::npos);
  }
}

TEST_CASE("access log: every end has a word of its own") {
  std::set<std::string> words;
  for (int i = 0; i <= static_cast<int>(End::internal); ++i) words.insert(name_of(static_cast<End>(i)));
  CHECK(words.size() == static_cast<size_t>(End::internal) + 1);
  CHECK(words.count("") == 0);
}

}  // namespace sallyport
