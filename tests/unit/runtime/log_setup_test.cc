// `logs:` put into effect, and changed while the log runs.
#include "runtime/log_setup.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "catch.h"
#include "config/parse_logs.h"

namespace sallyport {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

config::LogTarget target(const std::string& text) {
  auto parsed = config::parse_log_target(text);
  REQUIRE(parsed);
  return *parsed;
}

TEST_CASE("log setup: target, format and level change while it runs, and stay where nothing did") {
  std::string folder = (std::filesystem::temp_directory_path() / "sallyport-setup-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  config::Logs logs;
  logs.target = target(folder + "/a");
  log_setup(logs);
  log::info("first");
  log::debug("hidden");
  log::set_level(log::Level::debug);  // by hand
  logs.format = config::LogFormat::json;
  log_setup(logs);
  log::debug("second");
  logs.target = target(folder + "/b");
  log_setup(logs);
  log::debug("third");
  logs.level = config::LogLevel::error;
  log_setup(logs);
  log::warn("hidden");
  log::error("fourth");
  log::stop();
  const std::string both = content(folder + "/a") + content(folder + "/b");
  CHECK(both.find("info  first\n") != std::string::npos);
  CHECK(both.find("\"message\":\"second\"}\n") != std::string::npos);
  CHECK(content(folder + "/b").find("\"message\":\"third\"}\n") != std::string::npos);
  CHECK(content(folder + "/b").find("\"message\":\"fourth\"}\n") != std::string::npos);
  CHECK(both.find("hidden") == std::string::npos);
  log_setup({});
  log::stop();
  std::filesystem::remove_all(folder);
}

TEST_CASE("log setup: what each target wants") {
  struct Row {
    const char* target;
    log::Shape shape;
  };
  for (const Row& row : {Row{"stderr", log::Shape::plain}, Row{"/tmp/x", log::Shape::plain},
                         Row{"journald", log::Shape::fields}, Row{"syslog", log::Shape::stamped},
                         Row{"syslog:udp:localhost:1", log::Shape::stamped}, Row{"syslog:tcp:[::1]:1", log::Shape::stamped}}) {
    CAPTURE(row.target);
    CHECK(make_log_sink(target(row.target))->shape() == row.shape);
  }
}

}  // namespace
}  // namespace sallyport
