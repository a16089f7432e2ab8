#include "cli/table.h"

#include "catch.h"
#include "cli/human.h"

namespace sallyport {

TEST_CASE("table: columns are aligned, and no line ends in a space") {
  Table table({{"NAME"}, {"SIZE", Table::Align::right}, {"WHY"}});
  table.add({"a", "1", "x"});
  table.add({"longer", "12345", ""});
  table.add({"", "7", "a reason"});
  CHECK(table.text(false) ==
        "NAME     SIZE  WHY\n"
        "a           1  x\n"
        "longer  12345  -\n"
        "-           7  a reason\n");
}

TEST_CASE("table: colours take no room") {
  Table table({{"A"}, {"B"}});
  table.add({{"up", Tint::good}, "x"});
  CHECK(table.text(true) == "\x1b[1mA\x1b[0m   \x1b[1mB\x1b[0m\n\x1b[32mup\x1b[0m  x\n");
  CHECK(table.text(false) == "A   B\nup  x\n");
}

TEST_CASE("table: letters beyond ASCII are one place, and what could steer a terminal is shown") {
  Table table({{"A"}, {"B"}});
  table.add({"grün", "x"});
  table.add({"\x1b[2J", "\xc2\x9b"});
  CHECK(table.text(false) == "A        B\ngrün     x\n\\x1b[2J  \\x9b\n");
}

TEST_CASE("table: lines are cut at the terminal's width, between code points") {
  Table table({{"A"}, {"B"}});
  table.add({"aaaa", "bücher"});
  CHECK(table.text(false, 8) == "A     B\naaaa  bü\n");
  CHECK(table.text(false, 6) == "A\naaaa\n");
  CHECK(table.text(false, 3) == "A\naaa\n");
}

TEST_CASE("human: sizes, counts, times") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1 KiB");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(1024 * 1024 - 1) == "1 MiB");
  CHECK(bytes_text(20.0 * 1024 * 1024) == "20 MiB");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1.0k");
  CHECK(count_text(12'345) == "12.3k");
  CHECK(count_text(4.5e6) == "4.5M");
  CHECK(rate_text(0) == "0");
  CHECK(rate_text(0.05) == "<0.1");
  CHECK(rate_text(0.3) == "0.3");
  CHECK(rate_text(12.4) == "12");
  CHECK(duration_text(0.04) == "0.0s");
  CHECK(duration_text(59.4) == "59s");
  CHECK(duration_text(200) == "3m 20s");
  CHECK(duration_text(7500) == "2h 5m");
  CHECK(duration_text(4 * 86'400 + 3 * 3600) == "4d 3h");
  CHECK(printable("a\nb\x7f") == "a\\x0ab\\x7f");
}

}  // namespace sallyport
