#include "config/values.h"

#include "catch.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

TEST_CASE("duration: a number and a unit, or 0") {
  const struct {
    const char* text;
    std::optional<Milliseconds> expected;
  } rows[] = {
      {"0", 0ms},
      {"0s", 0ms},
      {"500ms", 500ms},
      {"5s", 5s},
      {"10m", 10min},
      {"1h", 1h},
      {"30d", 720h},
      {"3660d", 3660 * 24h},
      {"3661d", std::nullopt},
      {"5", std::nullopt},
      {"", std::nullopt},
      {"s", std::nullopt},
      {"-5s", std::nullopt},
      {"1.5s", std::nullopt},
      {"5 s", std::nullopt},
      {"5S", std::nullopt},
      {"1h30m", std::nullopt},
      {"99999999999999999999s", std::nullopt},
      {"18446744073709551615ms", std::nullopt},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto duration = parse_duration(row.text);
    REQUIRE(duration.ok() == row.expected.has_value());
    if (duration) CHECK(*duration == *row.expected);
  }
}

TEST_CASE("size: a number and a binary unit") {
  const struct {
    const char* text;
    uint32_t expected;
    const char* fault;  // "": none
  } rows[] = {
      {"16KiB", 16 * 1024, ""},
      {"016KiB", 16 * 1024, ""},
      {"1MiB", 1024 * 1024, ""},
      {"3GiB", 3U * 1024 * 1024 * 1024, ""},
      {"4095MiB", 4095U * 1024 * 1024, ""},
      {"0KiB", 0, ""},
      {"4GiB", 0, "\"4GiB\" is 4 GiB or more"},
      {"4194304KiB", 0, "\"4194304KiB\" is 4 GiB or more"},
      {"65536", 0, "\"65536\" has no unit; 64KiB is 65536 bytes, 1MiB is 1024KiB"},
      {"0", 0, "\"0\" has no unit; 64KiB is 65536 bytes, 1MiB is 1024KiB"},
      {"64KB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"64KB\""},
      {"64k", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"64k\""},
      {"64kib", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"64kib\""},
      {"64 KiB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"64 KiB\""},
      {"1.5MiB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"1.5MiB\""},
      {"-1KiB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"-1KiB\""},
      {"KiB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"KiB\""},
      {"", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"\""},
      {"99999999999999999999KiB", 0, "expected a size such as 16KiB, 1MiB or 1GiB, found \"99999999999999999999KiB\""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto size = parse_size(row.text);
    CHECK((size ? "" : size.error().detail) == row.fault);
    if (size) CHECK(*size == row.expected);
  }
  CHECK(size_text(16 * 1024) == "16KiB");
  CHECK(size_text(2 * 1024 * 1024) == "2MiB");
  CHECK(size_text(1536 * 1024) == "1536KiB");
  CHECK(size_text(1U << 30) == "1GiB");
  CHECK(size_text(65535) == "65535 bytes");
}

TEST_CASE("bind: equal addresses have equal text") {
  const struct {
    const char* text;
    const char* expected;  // nullptr: refused
    int family;
    bool any;
  } rows[] = {
      {":443", ":443", AF_INET6, true},
      {":0443", ":443", AF_INET6, true},
      {":0", ":0", AF_INET6, true},
      {"10.0.0.6:80", "10.0.0.6:80", AF_INET, false},
      {"0.0.0.0:80", "0.0.0.0:80", AF_INET, false},
      {"[::1]:80", "[::1]:80", AF_INET6, false},
      {"[0:0::1]:80", "[::1]:80", AF_INET6, false},
      {"unix:/run/x", "unix:/run/x", AF_UNIX, false},
      {":65536", nullptr, 0, false},
      {":", nullptr, 0, false},
      {":http", nullptr, 0, false},
      {"443", nullptr, 0, false},
      {"nas.lan:443", nullptr, 0, false},
      {"::1:80", nullptr, 0, false},
      {"10.0.0.6", nullptr, 0, false},
      {"unix:x", nullptr, 0, false},
      {"", nullptr, 0, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto bind = parse_bind(row.text);
    REQUIRE(bind.ok() == (row.expected != nullptr));
    if (!bind) continue;
    CHECK(bind->text == row.expected);
    CHECK(bind->address.family() == row.family);
    CHECK(bind->any == row.any);
  }
}

TEST_CASE("server: names, addresses and sockets, with a port or without") {
  const struct {
    const char* text;
    const char* host;  // nullptr: refused
    uint16_t port;
    const char* unix_path;
  } rows[] = {
      {"nas.lan:443", "nas.lan", 443, ""},
      {"NAS.lan.:443", "nas.lan", 443, ""},
      {"my_app:3000", "my_app", 3000, ""},
      {"git.lan", "git.lan", 0, ""},
      {"10.0.0.14:443", "10.0.0.14", 443, ""},
      {"10.0.0.14", "10.0.0.14", 0, ""},
      {"[fd00::6]:443", "fd00::6", 443, ""},
      {"[fd00:0::6]:443", "fd00::6", 443, ""},
      {"[fd00::6]", "fd00::6", 0, ""},
      {"fd00::6", "fd00::6", 0, ""},
      {"unix:/run/app.sock", "", 0, "/run/app.sock"},
      {"unix:app.sock", nullptr, 0, ""},
      {"nas.lan:0", nullptr, 0, ""},
      {"nas.lan:65536", nullptr, 0, ""},
      {"nas.lan:", nullptr, 0, ""},
      {"nas.lan:https", nullptr, 0, ""},
      {":443", nullptr, 0, ""},
      {"", nullptr, 0, ""},
      {"http://nas.lan", nullptr, 0, ""},
      {"https://nas.lan:443/x", nullptr, 0, ""},
      {"nas.lan/x:443", nullptr, 0, ""},
      {"n as:443", nullptr, 0, ""},
      {"[nas.lan]:443", nullptr, 0, ""},
      {"[10.0.0.1]:443", nullptr, 0, ""},
      {"[fd00::6:443", nullptr, 0, ""},
      {"[fd00::6]443", nullptr, 0, ""},
      {"*.lan:443", nullptr, 0, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto server = parse_server(row.text);
    REQUIRE(server.ok() == (row.host != nullptr));
    if (!server) {
      CHECK_FALSE(server.error().detail.empty());
      continue;
    }
    CHECK(server->text == row.text);
    CHECK(server->host == row.host);
    CHECK(server->port == row.port);
    CHECK(server->unix_path == row.unix_path);
  }
  CHECK_FALSE(parse_server("unix:/" + std::string(200, 'x')).ok());
}

TEST_CASE("host: as routing compares it") {
  const struct {
    const char* text;
    const char* expected;
  } rows[] = {
      {"cloud.example.tld", "cloud.example.tld"},
      {"Cloud.Example.TLD.", "cloud.example.tld"},
      {"nas", "nas"},
      {"*", "*"},
      {"*.Example.tld", "*.example.tld"},
      {"192.0.2.1", "192.0.2.1"},
      {"2001:DB8:0::1", "[2001:db8::1]"},
      {"[2001:db8::1]", "[2001:db8::1]"},
      {"", nullptr},
      {".", nullptr},
      {"*.", nullptr},
      {"**", nullptr},
      {"*example.tld", nullptr},
      {"a.*.tld", nullptr},
      {"*.*.tld", nullptr},
      {"*.192.0.2.1", nullptr},
      {"a..b", nullptr},
      {"a b", nullptr},
      {"a.b:443", nullptr},
      {"https://a.b", nullptr},
      {"a.b/c", nullptr},
      {"ä.de", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto host = parse_host(row.text);
    REQUIRE(host.ok() == (row.expected != nullptr));
    if (host) CHECK(*host == row.expected);
  }
}

TEST_CASE("path: a prefix by segments") {
  const struct {
    const char* text;
    const char* expected;
  } rows[] = {
      {"/", "/"},
      {"/api", "/api"},
      {"/api/", "/api"},
      {"/a/b/", "/a/b"},
      {"/a%20b", "/a%20b"},
      {"/.well-known", "/.well-known"},
      {"", nullptr},
      {"api", nullptr},
      {"//", nullptr},
      {"/a//b", nullptr},
      {"/.", nullptr},
      {"/..", nullptr},
      {"/a/../b", nullptr},
      {"/a?b", nullptr},
      {"/a#b", nullptr},
      {"/a b", nullptr},
      {"/ä", nullptr},
      {"/*", "/*"},
      {"/%41%7e/x", "/A~/x"},
      {"/a%2Fb", "/a%2Fb"},
      {"/a%2fb", "/a%2Fb"},
      {"/%2e%2E/x", nullptr},
      {"/a%", nullptr},
      {"/a%4", nullptr},
      {"/a%4g", nullptr},
      {"/a%+4", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto path = parse_path(row.text);
    REQUIRE(path.ok() == (row.expected != nullptr));
    if (path) CHECK(*path == row.expected);
  }
}

TEST_CASE("redirect target: an absolute URL and nothing that could end a header line") {
  for (const char* good :
       {"https://www.example.tld", "HTTP://a", "https://a.b:8443/x?y#z", "https://[::1]:8443/", "http://10.0.0.1"}) {
    CAPTURE(good);
    CHECK(parse_redirect_target(good).ok());
  }
  for (const char* bad : {"", "www.a.b", "/x", "ftp://a", "https://", "https:///x", "https://user@a.b", "https://a b",
                          "https://a\r\nX: y", "https://a:0", "https://a:99999", "https://a:", "https://[::1",
                          "https://[a.b]", "https://ä.de", "https://a/\"x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_redirect_target(bad).ok());
  }
  CHECK(host_of_url("https://WWW.Example.tld.:8443/x:y") == "www.example.tld");
  CHECK(host_of_url("http://[::1]:80/") == "[::1]");
  CHECK(host_of_url("nothing") == "");
}

TEST_CASE("headers: tokens, values, and what is the gateway's own") {
  for (const char* good : {"X-A", "x", "Server", "!#$%&'*+-.^_`|~09azAZ"}) CHECK(parse_header_name(good).ok());
  for (const char* bad : {"", "a b", "a:", "a\n", "ä", "(x)", "Host", "content-length", "Transfer-Encoding",
                          "CONNECTION", "te", "Trailer", "upgrade", "Keep-Alive", "Proxy-Connection"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_header_name(bad).ok());
  }
  CHECK(is_header_value(""));
  CHECK(is_header_value("a\tb c \xC3\xA4"));
  CHECK_FALSE(is_header_value("a\rb"));
  CHECK_FALSE(is_header_value("a\nb"));
  CHECK_FALSE(is_header_value(std::string("a\0b", 3)));
  CHECK_FALSE(is_header_value(" a"));
  CHECK_FALSE(is_header_value("a "));
  CHECK_FALSE(is_header_value(std::string(8193, 'a')));
}

}  // namespace
}  // namespace sallyport::config
