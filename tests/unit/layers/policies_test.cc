// What may happen to a request on its way.
#include "catch.h"
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

TEST_CASE("client key: of the address alone, the same for a mapped one") {
  auto key = [](const char* text) { return client_key(*Address::parse(text)); };
  CHECK(key("192.0.2.1:1000") == key("192.0.2.1:2000"));
  CHECK(key("[::ffff:192.0.2.1]:1") == key("192.0.2.1:1"));
  CHECK(key("192.0.2.1:1000") != key("192.0.2.2:1000"));
}

}  // namespace sallyport
