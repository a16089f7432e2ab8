// The page that explains the configuration is true: its examples load, and no key is missing.
#include <fstream>
#include <sstream>

#include "catch.h"
#include "config/service_parts.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

std::string page() {
  std::ifstream in(SALLYPORT_SOURCE_DIR "/docs/configuration.md");
  std::ostringstream text;
  text << in.rdbuf();
  REQUIRE(text.str().size() > 10'000);
  return text.str();
}

std::vector<std::string> yaml_blocks(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = text.find("```yaml\n"); at != std::string::npos; at = text.find("```yaml\n", at)) {
    at += 8;
    out.push_back(text.substr(at, text.find("```", at) - at));
  }
  return out;
}

bool begins_with_key_of_gateway(const std::string& block) {
  for (const char* begin : {"# gateway.yaml", "listeners:", "certificates:", "admin:", "logs:", "alerts:"})
    if (block.starts_with(begin)) return true;
  return false;
}

// What an example leaves out because it is about something else.
std::string completed(std::string service) {
  const auto has = [&](const char* key) {
    return ("\n" + service).find(std::string("\n") + key + ":") != std::string::npos;
  };
  if (!has("mode") && !has("preset")) service += "mode: reencrypt\n";
  if (!has("servers") && !has("redirect")) service += "servers: [a:443]\n";
  return service;
}

TEST_CASE("docs: every example loads") {
  const auto blocks = yaml_blocks(page());
  CHECK(blocks.size() > 15);
  for (const std::string& block : blocks) {
    CAPTURE(block);
    Memory files{
        {"admin-token", "t"}, {"discord-url", "https://discord.example/x"}, {"smtp-password", "p"}, {"ntfy-auth", "b"}};
    if (begins_with_key_of_gateway(block))
      files.file("gateway.yaml", block);
    else
      files.file("conf.d/x.yaml", completed(block));
    const Config config = files.load();
    for (const Fault& fault : config.faults) {
      INFO(fault.text());
      CHECK(fault.message.starts_with("no service uses the listener"));
    }
  }
}

TEST_CASE("docs: every key of a service is explained") {
  const std::string text = page();
  for (const ServiceParts::Key& key : ServiceParts::keys()) {
    CAPTURE(key.name);
    CHECK((text.find("`" + std::string(key.name) + "`") != std::string::npos ||
           text.find("### " + std::string(key.name)) != std::string::npos));
  }
}

}  // namespace
}  // namespace sallyport::config
