#include "config/expand.h"

#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

TEST_CASE("expand: variables, defaults, and a plain dollar") {
  Memory outside;
  outside.set("NAME", "value").set("EMPTY", "").set("TRICK", "${NAME}").set("_x9", "y");
  const struct {
    const char* text;
    const char* expected;  // nullptr: refused
  } rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"${NAME}", "value"},
      {"a${NAME}b${NAME}c", "avaluebvaluec"},
      {"${_x9}", "y"},
      {"${EMPTY}", ""},
      {"${EMPTY:-d}", "d"},
      {"${NONE:-d}", "d"},
      {"${NONE:-}", ""},
      {"${NAME:-d}", "value"},
      {"${NONE:-a:-b}", "a:-b"},
      {"${TRICK}", "${NAME}"},  // what was put in is left alone
      {"$NAME", "$NAME"},
      {"$", "$"},
      {"a$$b", "a$$b"},
      {"$${NAME}", "${NAME}"},
      {"$$${NAME}", "$${NAME}"},
      {"${NONE}", nullptr},
      {"${NAME", nullptr},
      {"${}", nullptr},
      {"${9}", nullptr},
      {"${a b}", nullptr},
      {"${NAME:x}", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto text = expand(row.text, outside);
    REQUIRE(text.ok() == (row.expected != nullptr));
    if (text) CHECK(*text == row.expected);
  }
}

TEST_CASE("!file: the file's text without its last line end") {
  const struct {
    const char* content;
    const char* token;
  } rows[] = {{"s3cret\n", "s3cret"}, {"s3cret", "s3cret"}, {"s3cret\r\n", "s3cret"}, {"${NAME}\n", "${NAME}"}};
  for (const auto& row : rows) {
    CAPTURE(row.content);
    const Config config =
        Memory{{"gateway.yaml", "admin: { token: !file secrets/token }\n"}, {"secrets/token", row.content}}.load();
    CHECK(texts(config) == "");
    CHECK(config.gateway.admin.token == row.token);
  }
  Memory named{{"gateway.yaml", "admin: { token: !file \"${WHERE}/token\" }\n"}, {"secrets/token", "t"}};
  CHECK(named.set("WHERE", "/etc/sallyport/secrets").load().gateway.admin.token == "t");
  for (const char* bad : {"two\n\n", "", "a b", "\xFF", "\x01"}) {
    CAPTURE(bad);
    const Config config = Memory{{"gateway.yaml", "admin: { token: !file token }\n"}, {"token", bad}}.load();
    CHECK(config.gateway_faulty);
    CHECK(config.gateway.admin.token.empty());
  }
}

}  // namespace
}  // namespace sallyport::config
