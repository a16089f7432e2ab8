#include "admin/target.h"

#include "base/format.h"
#include "catch.h"

namespace sallyport {
namespace {

// "a|b/c ?x=1&y=" for "/a/b%2Fc%20?x=1&y".
std::string taken_apart(std::string_view target) {
  AdminTarget out;
  if (!parse_target(target, out)) return "refused";
  std::string text;
  for (size_t i = 0; i < out.parts.size(); ++i) text += (i == 0 ? "" : "|") + out.parts[i];
  char joint = '?';
  for (const auto& [name, value] : out.query) {
    text += joint + name + "=" + value;
    joint = '&';
  }
  return text;
}

}  // namespace

TEST_CASE("target: parts and parameters are decoded after they are told apart") {
  struct Row {
    const char* target;
    const char* expected;
  };
  for (const Row& row : {
           Row{"/", ""},
           Row{"/api/v1/status", "api|v1|status"},
           Row{"/a/", "a|"},
           Row{"//", "|"},
           Row{"/a/unix%3A%2Frun%2Fx", "a|unix:/run/x"},
           Row{"/a/%5bfd00::1%5D:443", "a|[fd00::1]:443"},
           Row{"/a?", "a"},
           Row{"/a?x=1&y=two&&z", "a?x=1&y=two&z="},
           Row{"/a?x=a%26b%3Dc+d", "a?x=a&b=c d"},
           Row{"/a+b?x==", "a+b?x=="},
           Row{"/..%2f..%2fetc", "../../etc"},
           Row{"/%", "refused"},
           Row{"/%4", "refused"},
           Row{"/%4g", "refused"},
           Row{"/%4%31", "refused"},
           Row{"/a?x=%zz", "refused"},
           Row{"/a?%=1", "refused"},
           Row{"", "refused"},
           Row{"*", "refused"},
           Row{"a/b", "refused"},
           Row{"?x=1", "refused"},
       }) {
    CAPTURE(row.target);
    CHECK(taken_apart(row.target) == row.expected);
  }
}

TEST_CASE("target: there is an end to parts and parameters") {
  std::string deep, wide = "/a?";
  for (int i = 0; i < 16; ++i) deep += "/a";
  for (int i = 0; i < 32; ++i) wide += "x=1&";
  CHECK(taken_apart(deep) != "refused");
  CHECK(taken_apart(deep + "/a") == "refused");
  CHECK(taken_apart(wide) != "refused");
  CHECK(taken_apart(wide + "x=1") == "refused");
}

TEST_CASE("target: what is encoded comes back as it was") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  AdminTarget out;
  REQUIRE(parse_target("/" + percent_encoded(all) + "?x=" + percent_encoded(all), out));
  CHECK(out.parts == std::vector<std::string>{all});
  CHECK(out.query.at(0).second == all);
  CHECK(percent_encoded("10.0.0.14:443") == "10.0.0.14%3A443");
}

}  // namespace sallyport
