#include "transport/crypto.h"

#include <string_view>

#include "catch.h"

using namespace sallyport;

TEST_CASE("base64: the vectors of RFC 4648 section 10, and both last characters") {
  struct Row {
    std::string_view plain, encoded;
  };
  for (const Row& row : {Row{"", ""}, Row{"f", "Zg=="}, Row{"fo", "Zm8="}, Row{"foo", "Zm9v"}, Row{"foob", "Zm9vYg=="},
                         Row{"fooba", "Zm9vYmE="}, Row{"foobar", "Zm9vYmFy"}, Row{"\xff\xef\xff\xbe", "/+//vg=="}}) {
    CAPTURE(row.plain);
    CHECK(base64(as_bytes(row.plain)) == row.encoded);
  }
}

TEST_CASE("sha1: the first vector of RFC 3174 section 7.3, and of nothing") {
  CHECK(base64(sha1(as_bytes("abc"))) == "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
  CHECK(base64(sha1({})) == "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
}
