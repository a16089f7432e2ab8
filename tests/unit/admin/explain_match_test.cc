#include "admin/explain_match.h"

#include "admin/explain_target.h"
#include "catch.h"

namespace sallyport {
namespace {

using Sends = ExplainTarget::Sends;

std::string joined_path(const Segments& segments) {
  std::string out;
  for (const std::string& segment : segments) out += "/" + segment;
  return out;
}

}  // namespace

TEST_CASE("explain: a path is compared as RFC 3986 says") {
  const std::pair<const char*, const char*> rows[] = {
      {"/", ""},
      {"", ""},
      {"/a", "/a"},
      {"/a/", "/a"},
      {"//a///b", "/a/b"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/../../b", "/b"},
      {"/%61", "/a"},
      {"/a%2fb", "/a%2Fb"},
      {"/x/%2E%2e/y", "/y"},
      {"/%", "/%"},
      {"/%4", "/%4"},
      {"/%zz", "/%zz"},
      {"/a?b/../c", "/a"},
      {"/a/..", ""},
  };
  for (const auto& [path, expected] : rows) {
    CAPTURE(path);
    CHECK(joined_path(path_segments(path)) == expected);
  }
}

TEST_CASE("explain: the longest prefix by whole segments") {
  const std::vector<std::string> prefixes{"/", "/api", "/api/v2", "/other"};
  const auto matched = [&](const char* path) { return prefixes[match_path(prefixes, path_segments(path))->index]; };
  CHECK(matched("/api") == "/api");
  CHECK(matched("/apis") == "/");
  CHECK(matched("/api/v2/x") == "/api/v2");
  CHECK(matched("/api/v22") == "/api");
  CHECK(matched("/other/") == "/other");
  CHECK_FALSE(match_path({"/api"}, path_segments("/")));
}

TEST_CASE("explain: exact beats wildcard beats any") {
  const std::vector<std::string> hosts{"*", "*.example.tld", "a.example.tld"};
  CHECK(match_host(hosts, "a.example.tld").fit == HostFit::exact);
  CHECK(match_host(hosts, "b.example.tld").fit == HostFit::wildcard);
  CHECK(match_host(hosts, "c.b.example.tld").fit == HostFit::any);
  CHECK(match_host(hosts, "example.tld").fit == HostFit::any);
  CHECK(match_host(hosts, ".example.tld").fit == HostFit::any);
  CHECK(match_host(hosts, "").fit == HostFit::any);
  CHECK(match_host({"*.example.tld"}, "c.b.example.tld").fit == HostFit::none);
  CHECK(match_host({"a.example.tld"}, "").fit == HostFit::none);
}

TEST_CASE("explain: targets") {
  const struct {
    const char* text;
    Sends sends;
    const char* host;
    uint16_t port;
    const char* request;
  } rows[] = {
      {"https://cloud.example.tld/login?x=1#y", Sends::https, "cloud.example.tld", 443, "/login?x=1"},
      {"HTTP://Cloud.Example.tld.:8080", Sends::http, "cloud.example.tld", 8080, "/"},
      {"wss://a.tld/socket", Sends::https, "a.tld", 443, "/socket"},
      {"ssh://git@a.tld", Sends::ssh, "a.tld", 22, "/"},
      {"tcp://a.tld:5432", Sends::other, "a.tld", 5432, "/"},
      {"imaps://a.tld", Sends::tls, "a.tld", 993, "/"},
      {"a.tld", Sends::https, "a.tld", 443, "/"},
      {"a.tld/x", Sends::https, "a.tld", 443, "/x"},
      {"a.tld?x", Sends::https, "a.tld", 443, "/?x"},
      {"a.tld:22", Sends::not_told, "a.tld", 22, "/"},
      {"a.tld:8443/x", Sends::https, "a.tld", 8443, "/x"},
      {"a.tld:80/x", Sends::http, "a.tld", 80, "/x"},
      {"https://192.0.2.1:8443/", Sends::https, "192.0.2.1", 8443, "/"},
      {"https://[2001:DB8::1]:8443/", Sends::https, "[2001:db8::1]", 8443, "/"},
      {"[::1]:443", Sends::not_told, "[::1]", 443, "/"},
      {"::1", Sends::https, "[::1]", 443, "/"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto target = parse_explain_target(row.text);
    REQUIRE(target.ok());
    CHECK(target->sends == row.sends);
    CHECK(target->host == row.host);
    CHECK(target->port == row.port);
    CHECK(target->request == row.request);
  }
  for (const char* bad : {"", "https://", "https://a b/", "https://a.tld:0/", "https://a.tld:99999/",
                          "a.tld:", "gopher://a.tld", "https://[::1/", "https://a_.tld:x/", "https://ä.tld/",
                          "https://a.tld/ö", "tcp://a.tld", "[a.tld]:1", "https://a..tld/"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_explain_target(bad).ok());
  }
}

}  // namespace sallyport
