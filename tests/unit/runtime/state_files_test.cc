#include "runtime/state_files.h"

#include <unistd.h>

#include "catch.h"

namespace sallyport {

TEST_CASE("state files: lines of sticky clients") {
  struct Row {
    const char* line;
    bool good;
  };
  for (const Row& row : {
           Row{"web\t10.0.0.1\t00000000000000ff\t1700000000000", true},
           Row{"web\t2001:db8::1\t00000000000000ff\t0", true},
           Row{"", false},
           Row{"web", false},
           Row{"web\t10.0.0.1\t00000000000000ff", false},
           Row{"\t10.0.0.1\t00000000000000ff\t1", false},
           Row{"web\t10.0.0\t00000000000000ff\t1", false},
           Row{"web\t10.0.0.1\tff\t1", false},
           Row{"web\t10.0.0.1\t00000000000000fg\t1", false},
           Row{"web\t10.0.0.1\t00000000000000ff\t1x", false},
           Row{"web\t10.0.0.1\t00000000000000ff\t", false},
           Row{"web\t10.0.0.1\t00000000000000ff\t1\tmore", false},
       }) {
    CAPTURE(row.line);
    StickyLine line;
    CHECK(parse_sticky_line(row.line, line) == row.good);
    if (row.good) CHECK(line.server == 255);
  }
}

TEST_CASE("state files: a secret is made once, and only its owner reads it") {
  const auto folder = std::filesystem::temp_directory_path() / ("sallyport-state-" + std::to_string(getpid()));
  StateFiles files(folder);
  std::string first, second;
  CHECK(files.cookie_secret(first));
  CHECK(first.size() == 32);
  CHECK(files.cookie_secret(second));
  CHECK(first == second);
  CHECK(std::filesystem::status(folder / "cookie.key").permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  std::filesystem::remove_all(folder);
  StateFiles nowhere("/proc/nowhere");
  CHECK_FALSE(nowhere.cookie_secret(second));
  CHECK(second.size() == 32);
}

}  // namespace sallyport
