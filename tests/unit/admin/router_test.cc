#include "admin/router.h"

#include "catch.h"

namespace sallyport {
namespace {

Router router() {
  Router out;
  out.add({"GET", "/", AdminNeed::nothing, {}, {}});
  out.add({"GET", "/api/things", AdminNeed::read, {"limit", "sort"}, {}});
  out.add({"GET", "/api/things/{}", AdminNeed::read, {}, {}});
  out.add({"PATCH", "/api/things/{}/{}", AdminNeed::change, {}, {}});
  out.add({"DELETE", "/api/things/{}", AdminNeed::change, {}, {}});
  return out;
}

std::string asked(const Router& router, std::string_view method, std::string_view text) {
  AdminTarget target;
  REQUIRE(parse_target(text, target));
  const Router::Match match = router.find(method, target);
  if (match.route == nullptr) {
    std::string out = std::to_string(match.refused.status);
    for (const auto& [name, value] : match.refused.fields) out += " " + name + ": " + value;
    CHECK(parse_json(match.refused.body).contains("error"));
    return out;
  }
  std::string out(match.route->pattern);
  for (const std::string& one : match.captures) out += " " + one;
  return out;
}

}  // namespace

TEST_CASE("router: paths, methods and parameters") {
  struct Row {
    const char* method;
    const char* target;
    const char* expected;
  };
  const Router routes = router();
  for (const Row& row : {
           Row{"GET", "/", "/"},
           Row{"HEAD", "/", "/"},
           Row{"GET", "/?x=1", "400"},
           Row{"GET", "/api/things", "/api/things"},
           Row{"HEAD", "/api/things?limit=3", "/api/things"},
           Row{"GET", "/api/things?limits=3", "400"},
           Row{"GET", "/api/things/one", "/api/things/{} one"},
           Row{"GET", "/api/things/a%2Fb", "/api/things/{} a/b"},
           Row{"DELETE", "/api/things/one", "/api/things/{} one"},
           Row{"PATCH", "/api/things/one/two", "/api/things/{}/{} one two"},
           Row{"GET", "/api/things/", "404"},
           Row{"GET", "/api/things/one/", "404"},
           Row{"PATCH", "/api/things/one/two/three", "404"},
           Row{"GET", "/api", "404"},
           Row{"GET", "/API/things", "404"},
           Row{"POST", "/api/things", "405 Allow: GET, HEAD"},
           Row{"POST", "/api/things/one", "405 Allow: GET, HEAD, DELETE"},
           Row{"GET", "/api/things/one/two", "405 Allow: PATCH"},
           Row{"get", "/api/things", "405 Allow: GET, HEAD"},
           Row{"OPTIONS", "/", "405 Allow: GET, HEAD"},
       }) {
    CAPTURE(row.method, row.target);
    CHECK(asked(routes, row.method, row.target) == row.expected);
  }
}

TEST_CASE("router: a parameter that was meant is named") {
  AdminTarget target;
  REQUIRE(parse_target("/api/things?limt=3", target));
  CHECK(router().find("GET", target).refused.body.find("did you mean \\\"limit\\\"?") != std::string::npos);
}

}  // namespace sallyport
