// What may happen to a request on its way, and the line that is left of it.
#include <regex>
#include <set>

#include "catch.h"
#include "layers/access_log.h"
#include "layers/layer.h"
#include "layers/policies/access.h"
#include "layers/policies/headers.h"
#include "layers/redirect/redirect.h"

namespace sallyport {
namespace {

std::vector<Network> networks(std::initializer_list<const char*> texts) {
  std::vector<Network> out;
  for (const char* text : texts) out.push_back(*Network::parse(text));
  return out;
}

std::string fields_text(const http::HeaderList& fields) {
  std::string out;
  fields.for_each([&](const http::Header& field, http::HeaderId) {
    out += std::string(field.name) + "=" + std::string(field.value) + ";";
  });
  return out;
}

std::string without_time(const std::string& line) {
  return std::regex_replace(line, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"), "TIME");
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
  return record;
}

}  // namespace

TEST_CASE("access: deny beats allow, and a non-empty allow denies the rest") {
  struct Row {
    std::initializer_list<const char*> allow, deny;
    const char* client;
    bool admitted;
  };
  const std::initializer_list<const char*> none{}, lan{"10.0.0.0/8", "fd00::/8"}, one{"10.1.1.1"},
      any{"0.0.0.0/0", "::/0"};
  for (const Row& row : {
           Row{none, none, "203.0.113.1:1", true},
           Row{lan, none, "10.2.3.4:1", true},
           Row{lan, none, "[fd00::9]:1", true},
           Row{lan, none, "203.0.113.1:1", false},
           Row{lan, none, "[2001:db8::1]:1", false},
           Row{lan, one, "10.1.1.1:1", false},
           Row{lan, one, "10.1.1.2:1", true},
           Row{none, one, "10.1.1.1:1", false},
           Row{none, one, "10.1.1.2:1", true},
           Row{one, any, "10.1.1.1:1", false},
           Row{none, one, "[::ffff:10.1.1.1]:1", false},
           Row{lan, none, "unix:/run/x", false},
           Row{none, lan, "unix:/run/x", true},
       }) {
    CAPTURE(row.client);
    config::Access access{networks(row.allow), networks(row.deny)};
    CHECK(admits(access, *Address::parse(row.client)) == row.admitted);
  }
}

TEST_CASE("headers: removed first, then set, then added") {
  http::HeaderList fields;
  fields.add("Server", "nginx");
  fields.add("X-Debug", "1");
  fields.add("x-debug", "2");
  fields.add("X-Env", "prod");
  fields.add("Vary", "Accept");
  config::HeaderEdits edits;
  edits.remove = {"X-DEBUG", "Absent", "X-Both"};
  edits.set = {{"X-Env", "lab"}, {"X-Both", "set"}};
  edits.add = {{"Vary", "Origin"}, {"X-Both", "added"}};
  apply(edits, fields);
  CHECK(fields_text(fields) == "Server=nginx;Vary=Accept;X-Env=lab;X-Both=set;Vary=Origin;X-Both=added;");
  std::string before = fields_text(fields);
  apply({}, fields);
  CHECK(fields_text(fields) == before);
}

TEST_CASE("redirect: where to, with or without the path that was asked for") {
  struct Row {
    const char* to;
    int status;
    bool keep_path;
    const char* target;
    int expected;
    const char* location;
  };
  for (const Row& row : {
           Row{"https://www.tld", 308, true, "/a/b?c=d", 308, "https://www.tld/a/b?c=d"},
           Row{"https://www.tld/", 301, true, "/a", 301, "https://www.tld/a"},
           Row{"https://www.tld/base/", 302, true, "/a", 302, "https://www.tld/base/a"},
           Row{"https://www.tld/base", 308, true, "/", 308, "https://www.tld/base/"},
           Row{"https://www.tld/x", 307, false, "/a/b", 307, "https://www.tld/x"},
           Row{"https://www.tld/x", 308, true, "*", 308, "https://www.tld/x"},
           Row{"https://www.tld", 308, true, "//evil.tld/", 308, "https://www.tld//evil.tld/"},
           Row{"https://www.tld", 308, true, "/a b", 400, nullptr},
           Row{"https://www.tld", 308, true, "/a\r\nSet-Cookie: x", 400, nullptr},
       }) {
    CAPTURE(row.to, row.target);
    http::RequestHead request;
    request.method = "GET";
    request.target = row.target;
    http::Reply reply;
    make_redirect_for({row.to, row.status, row.keep_path}, request, reply);
    CHECK(reply.head.status == row.expected);
    auto location = reply.head.fields.find("Location");
    CHECK(location.has_value() == (row.location != nullptr));
    if (location && row.location != nullptr) CHECK(*location == row.location);
  }
}

TEST_CASE("access log: a full line, and a bare one, as text") {
  std::string line;
  append_access_text(line, full_record());
  CHECK(without_time(line) ==
        "TIME access client=192.0.2.7 listener=https service=cloud server=10.0.0.14:443 mode=reencrypt "
        "sni=\"cloud.example.tld\" host=\"cloud.example.tld\" method=\"GET\" path=\"/a?b=\\\"c\\\"\" status=200 in=120 "
        "out=18446744073709551615 handshake_ms=4 connect_ms=0 first_byte_ms=12 total_ms=15 end=client_cut "
        "reason=\"it\\x0awent\"\n");
  line.clear();
  append_access_text(line, AccessRecord{});
  CHECK(without_time(line) == "TIME access in=0 out=0 end=ok\n");
}

TEST_CASE("access log: a full line, and a bare one, as JSON") {
  std::string line;
  append_access_json(line, full_record());
  CHECK(
      without_time(line) ==
      R"({"time":"TIME","type":"access","client":"192.0.2.7","listener":"https","service":"cloud",)"
      R"("server":"10.0.0.14:443","mode":"reencrypt","sni":"cloud.example.tld","host":"cloud.example.tld",)"
      R"("method":"GET","path":"/a?b=\"c\"","status":200,"bytes_in":120,"bytes_out":18446744073709551615,)"
      R"("handshake_ms":4,"connect_ms":0,"first_byte_ms":12,"total_ms":15,"end":"client_cut","reason":"it\u000awent"})"
      "\n");
  line.clear();
  append_access_json(line, AccessRecord{});
  CHECK(without_time(line) == R"({"time":"TIME","type":"access","bytes_in":0,"bytes_out":0,"end":"ok"})"
                              "\n");
}

TEST_CASE("access log: nothing that a client sends makes a second line, a second field, or a line without end") {
  using namespace std::string_literals;
  for (const std::string& hostile : {"\r\nTIME access client=10.0.0.1"s, "\" status=200 x=\""s, "\\\" end=ok"s,
                                     "\0\x1b[2J\x7f\x80\xff"s, std::string(100'000, 'a'), "\xe2\x80\xa8"s}) {
    AccessRecord record = full_record();
    record.sni = record.host = record.method = record.path = record.reason = hostile;
    std::string text_line, json_line;
    append_access_text(text_line, record);
    append_access_json(json_line, record);
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

TEST_CASE("access log: every end has a word of its own") {
  std::set<std::string> words;
  for (int i = 0; i <= static_cast<int>(End::internal); ++i) words.insert(name_of(static_cast<End>(i)));
  CHECK(words.size() == static_cast<size_t>(End::internal) + 1);
  CHECK(words.count("") == 0);
}

TEST_CASE("client key: of the address alone, the same for a mapped one") {
  auto key = [](const char* text) { return client_key(*Address::parse(text)); };
  CHECK(key("192.0.2.1:1000") == key("192.0.2.1:2000"));
  CHECK(key("[::ffff:192.0.2.1]:1") == key("192.0.2.1:1"));
  CHECK(key("192.0.2.1:1000") != key("192.0.2.2:1000"));
}

}  // namespace sallyport
