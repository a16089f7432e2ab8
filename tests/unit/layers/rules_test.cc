#include "layers/rules.h"

#include <map>

#include "catch.h"

namespace sallyport {
namespace {

struct Services {
  const Service* operator[](const std::string& name) {
    auto& service = all[name];
    if (!service) {
      service = std::make_unique<Service>();
      service->config.name = name;
      service->config.mode = name.starts_with("redirect") ? config::Mode::redirect : config::Mode::http;
      service->config.plain_http = name.starts_with("served")   ? config::PlainHttp::serve
                                   : name.starts_with("refuse") ? config::PlainHttp::refuse
                                                                : config::PlainHttp::redirect;
    }
    return service.get();
  }
  std::map<std::string, std::unique_ptr<Service>> all;
};

std::string name(const Service* service) { return service == nullptr ? "-" : service->config.name; }

// "proxy NAME", "redirect NAME", "https PORT" or the status.
std::string text(const Route& route) {
  switch (route.kind) {
    case Route::Kind::proxy: return "proxy " + name(route.service);
    case Route::Kind::redirect: return "redirect " + name(route.service);
    case Route::Kind::to_https: return "https " + std::to_string(route.https_port);
    case Route::Kind::status: return std::to_string(route.status);
  }
  return "";
}

}  // namespace

TEST_CASE("host table: exact beats a wildcard of one label beats any") {
  HostTable<std::string> table;
  CHECK(table.empty());
  CHECK(table.find("") == nullptr);
  for (const char* pattern : {"a.example.tld", "*.example.tld", "*.deep.example.tld", "example.tld"})
    table.at(pattern) = pattern;
  struct Row {
    const char* host;
    const char* found;
  };
  auto check = [&](const Row& row) {
    CAPTURE(row.host);
    const std::string* found = table.find(row.host);
    CHECK((found == nullptr ? "-" : *found) == row.found);
  };
  for (const Row& row :
       {Row{"a.example.tld", "a.example.tld"}, Row{"b.example.tld", "*.example.tld"}, Row{"example.tld", "example.tld"},
        Row{"deep.example.tld", "*.example.tld"}, Row{"x.deep.example.tld", "*.deep.example.tld"},
        Row{"y.x.deep.example.tld", "-"}, Row{"b.a.example.tld", "-"}, Row{"tld", "-"}, Row{"", "-"},
        Row{".example.tld", "-"}, Row{"*.example.tld", "*.example.tld"}, Row{"aexample.tld", "-"}, Row{"[::1]", "-"}})
    check(row);
  table.at("*") = "*";
  for (const Row& row :
       {Row{"y.x.deep.example.tld", "*"}, Row{"", "*"}, Row{"192.0.2.1", "*"}, Row{"[2001:db8::1]", "*"},
        Row{"a.example.tld", "a.example.tld"}, Row{"b.example.tld", "*.example.tld"}})
    check(row);
  std::vector<std::string> patterns;
  table.for_each([&](const std::string& pattern, std::string& value) {
    CHECK(pattern == value);
    patterns.push_back(pattern);
  });
  CHECK(patterns.size() == 5);
}

TEST_CASE("normalized path: one spelling for what servers take for the same") {
  struct Row {
    const char* path;
    const char* normal;
  };
  for (const Row& row : {
           Row{"/", "/"},
           Row{"/a/b", "/a/b"},
           Row{"/a/b/", "/a/b/"},
           Row{"//", "/"},
           Row{"//a///b//", "/a/b/"},
           Row{"/./a/./b/.", "/a/b/"},
           Row{"/a/../b", "/b"},
           Row{"/a/b/..", "/a/"},
           Row{"/a/b/../", "/a/"},
           Row{"/..", "/"},
           Row{"/../../a", "/a"},
           Row{"/a/../../../b/c", "/b/c"},
           Row{"/a/...", "/a/..."},
           Row{"/.well-known/x", "/.well-known/x"},
           Row{"/a/..b/.c", "/a/..b/.c"},
           Row{"/%61dmin", "/admin"},
           Row{"/%41%7e%2D", "/A~-"},
           Row{"/%2e%2E/a", "/a"},
           Row{"/x/%2e%2e/a", "/a"},
           Row{"/x/.%2e/a", "/a"},
           Row{"/x/%2e/a", "/x/a"},
           Row{"/a%2fb", "/a%2Fb"},  // a slash that is data ends no segment
           Row{"/a%2f..%2fb", "/a%2F..%2Fb"},
           Row{"/a%252e", "/a%252e"},  // decoded once, never twice
           Row{"/a%25%32%65", "/a%252e"},
           Row{"/%", "/%"},
           Row{"/%4", "/%4"},
           Row{"/%zz/%4g", "/%zz/%4g"},
           Row{"/a%00b", "/a%00b"},
           Row{"/%c3%a4", "/%C3%A4"},
           Row{"/a;v=1/..;/b", "/a;v=1/..;/b"},
           Row{"", ""},
       }) {
    CAPTURE(row.path);
    std::string storage, again;
    std::string once(normalized_path(row.path, storage));
    CHECK(once == row.normal);
    CHECK(normalized_path(once, again) == once);
  }
}

TEST_CASE("path table: the longest prefix of whole segments wins, in whatever spelling") {
  Services services;
  PathTable table;
  CHECK(table.empty());
  for (const char* path : {"/", "/app", "/app/admin/", "/app/admin/a%2Fb", "/%7Euser"})
    CHECK(table.add(path, services[path]));
  CHECK_FALSE(table.empty());
  for (const char* taken : {"/", "/app/", "/app", "/app/admin", "//app", "/~user"})
    CHECK_FALSE(table.add(taken, services["late"]));
  struct Row {
    const char* path;
    const char* service;
  };
  for (const Row& row : {
           Row{"/", "/"},
           Row{"/other", "/"},
           Row{"/app", "/app"},
           Row{"/app/", "/app"},
           Row{"/app/x/y", "/app"},
           Row{"/application", "/"},
           Row{"/App", "/"},
           Row{"/app/admin", "/app/admin/"},
           Row{"/app/admin/x", "/app/admin/"},
           Row{"/app/administrator", "/app"},
           // No spelling gets past the longer prefix.
           Row{"//app//admin", "/app/admin/"},
           Row{"/app/./admin", "/app/admin/"},
           Row{"/app/x/../admin/y", "/app/admin/"},
           Row{"/%61pp/%61dmin", "/app/admin/"},
           Row{"/app/%2e/admin", "/app/admin/"},
           Row{"/other/%2e%2e/app/admin", "/app/admin/"},
           Row{"/../app/admin", "/app/admin/"},
           // Nor into it from outside, where the server would see the shorter one.
           Row{"/app/admin/../x", "/app"},
           Row{"/app/admin/..", "/app"},
           Row{"/app/admin/%2e%2e/%2e%2e/x", "/"},
           Row{"/app%2Fadmin", "/"},
           Row{"/app/admin%2fx", "/app"},
           Row{"/app/admin/a%2Fb", "/app/admin/a%2Fb"},
           Row{"/app/admin/a%2fb", "/app/admin/a%2Fb"},
           Row{"/~user/x", "/%7Euser"},
           Row{"/%7euser", "/%7Euser"},
           // What has no path: OPTIONS *, and nothing at all.
           Row{"*", "/"},
           Row{"", "/"},
           Row{"a", "/"},
       }) {
    CAPTURE(row.path);
    CHECK(name(table.find(row.path)) == row.service);
  }
  PathTable only;
  only.add("/api", services["api"]);
  for (const Row& row :
       {Row{"/api/v1", "api"}, Row{"/", "-"}, Row{"/apis", "-"}, Row{"/api/..", "-"}, Row{"*", "-"}, Row{"", "-"}}) {
    CAPTURE(row.path);
    CHECK(name(only.find(row.path)) == row.service);
  }
}

TEST_CASE("routes inside TLS: 421 for what this connection may not reach, 404 for a path that nobody serves") {
  Services services;
  ListenerRules rules;
  rules.tls.at("edge.tld").paths.add("/", services["edge"]);
  rules.tls.at("api.tld").paths.add("/api", services["api"]);
  rules.tls.at("api.tld").paths.add("/old", services["redirect-old"]);
  rules.tls.at("pass.tld").passthrough = services["pass"];
  rules.tls.at("imap.tld").tcp = services["imap"];
  rules.tls.at("mtls.tld").paths.add("/", services["mtls"]);
  rules.tls.at("mtls.tld").client_rule = "rule-1";
  rules.tls.at("*.wild.tld").paths.add("/", services["wild"]);
  rules.tls.at("secret.wild.tld").passthrough = services["secret"];
  struct Row {
    const char* host;
    const char* path;
    const char* client_rule;
    const char* route;
  };
  for (const Row& row : {
           Row{"edge.tld", "/x", "", "proxy edge"},
           Row{"api.tld", "/api/v1", "", "proxy api"},
           Row{"api.tld", "/old/x", "", "redirect redirect-old"},
           Row{"api.tld", "/", "", "404"},
           Row{"api.tld", "/api/../x", "", "404"},
           Row{"pass.tld", "/", "", "421"},
           Row{"imap.tld", "/", "", "421"},
           Row{"unknown.tld", "/", "", "421"},
           Row{"", "/", "", "421"},
           Row{"a.wild.tld", "/", "", "proxy wild"},
           Row{"secret.wild.tld", "/", "", "421"},  // the best match counts, not any match
           Row{"a.b.wild.tld", "/", "", "421"},
           Row{"mtls.tld", "/", "rule-1", "proxy mtls"},
           Row{"mtls.tld", "/", "", "421"},
           Row{"mtls.tld", "/", "rule-2", "421"},
           Row{"edge.tld", "/", "rule-1", "421"},
       }) {
    CAPTURE(row.host, row.path, row.client_rule);
    CHECK(text(route_tls(rules, row.host, row.path, row.client_rule)) == row.route);
  }
  rules.tls.at("*").paths.add("/", services["any"]);
  CHECK(text(route_tls(rules, "unknown.tld", "/", "")) == "proxy any");
  CHECK(text(route_tls(rules, "", "/", "")) == "proxy any");
  CHECK(text(route_tls(rules, "pass.tld", "/", "")) == "421");
}

TEST_CASE("routes without TLS: a service that claims the host, else to https, else 404") {
  Services services;
  ListenerRules rules;
  HostTable<PlainFallback> https;
  https.at("edge.tld").https_port = 443;
  https.at("*.wild.tld").https_port = 8443;
  https.at("refused.tld").https_port = 0;
  https.at("both.tld").https_port = 443;
  https.at("served.tld").paths.add("/app", services["served"]);
  https.at("mixed.tld").https_port = 443;
  https.at("mixed.tld").paths.add("/", services["served-root"]);
  https.at("mixed.tld").paths.add("/login", services["login"]);
  https.at("mixed.tld").paths.add("/shut", services["refused"]);
  rules.plain.at("http.tld").paths.add("/", services["http"]);
  rules.plain.at("both.tld").paths.add("/.well-known", services["acme"]);
  rules.plain.at("old.tld").paths.add("/", services["redirect-old"]);
  rules.plain.at("part.tld").paths.add("/part", services["part"]);
  for (bool with_https : {true, false}) {
    rules.plain_fallback = with_https ? &https : nullptr;
    struct Row {
      const char* host;
      const char* path;
      const char* route;
      const char* without_https;
    };
    for (const Row& row : {
             Row{"http.tld", "/x", "proxy http", "proxy http"},
             Row{"old.tld", "/x", "redirect redirect-old", "redirect redirect-old"},
             Row{"both.tld", "/.well-known/x", "proxy acme", "proxy acme"},
             Row{"both.tld", "/", "https 443", "404"},
             Row{"part.tld", "/x", "404", "404"},
             Row{"edge.tld", "/", "https 443", "404"},
             Row{"a.wild.tld", "/", "https 8443", "404"},
             Row{"refused.tld", "/", "404", "404"},
             Row{"served.tld", "/app/x", "proxy served", "404"},
             Row{"served.tld", "/x", "404", "404"},
             Row{"mixed.tld", "/x", "proxy served-root", "404"},
             Row{"mixed.tld", "/login/x", "https 443", "404"},
             Row{"mixed.tld", "/shut", "404", "404"},
             Row{"unknown.tld", "/", "404", "404"},
             Row{"", "/", "404", "404"},
         }) {
      CAPTURE(row.host, row.path, with_https);
      CHECK(text(route_plain(rules, row.host, row.path)) == (with_https ? row.route : row.without_https));
    }
  }
  // Without a host there is nowhere to send a client, not even by a rule for any.
  https.at("*").https_port = 443;
  rules.plain_fallback = &https;
  CHECK(text(route_plain(rules, "unknown.tld", "/")) == "https 443");
  CHECK(text(route_plain(rules, "", "/")) == "404");
}

}  // namespace sallyport
