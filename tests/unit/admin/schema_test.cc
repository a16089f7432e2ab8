// The schema knows every key that the readers know, and no other.
#include "admin/schema.h"

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "catch.h"
#include "config/service_parts.h"
#include "tests/unit/config/memory.h"

namespace sallyport {
namespace {

using json = nlohmann::ordered_json;
using Keys = std::set<std::string>;

// Every name of a property, wherever it stands.
void collect(const json& schema, Keys& out) {
  if (schema.is_array())
    for (const json& one : schema) collect(one, out);
  if (!schema.is_object()) return;
  for (const auto& [key, value] : schema.items()) {
    if (key == "allOf" || key == "if") continue;  // rules name keys that stand elsewhere
    if (key == "properties")
      for (const auto& [name, below] : value.items()) {
        out.insert(name);
        collect(below, out);
      }
    else if (key == "definitions")
      for (const auto& [name, below] : value.items()) collect(below, out);
    else
      collect(value, out);
  }
}

std::string source(const char* file) {
  std::ifstream in(std::string(SALLYPORT_SOURCE_DIR "/gateway/config/") + file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The keys in the tables that Reader::fields() is given: {"key", what reads it}, and the helpers that make such a pair.
Keys read_keys() {
  static const std::regex kField(
      R"re((?:\{\s*"([a-z0-9_]+)",\s*(?:\[|section\(|networks\(|openssl_list\(|later|type\b))|(?:\b(?:time|count|text|number|later|key)\("([a-z0-9_]+)"\s*[,)]))re");
  Keys out;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(SALLYPORT_SOURCE_DIR "/gateway/config"))
    if (entry.path().extension() == ".cc") files.insert(entry.path().filename());
  for (const auto& file : files) {
    const std::string text = source(file.c_str());
    if (text.find("fields(") == std::string::npos) continue;
    for (std::sregex_iterator at(text.begin(), text.end(), kField), end; at != end; ++at)
      out.insert((*at)[1].matched ? (*at)[1].str() : (*at)[2].str());
  }
  for (const auto& key : config::ServiceParts::keys()) out.insert(std::string(key.name));
  return out;
}

std::string difference(const Keys& a, const Keys& b) {
  std::string out;
  for (const std::string& key : a)
    if (b.count(key) == 0) out += key + " ";
  return out;
}

}  // namespace

TEST_CASE("schema: the keys of the readers, and no others") {
  Keys in_schema;
  collect(service_schema(), in_schema);
  collect(gateway_schema(), in_schema);
  Keys read = read_keys();
  CHECK(read.size() > 90);
  for (const char* known : {"http", "https", "ssh"}) in_schema.erase(known);  // names of listeners
  for (const char* word : {"http", "https", "ssh"}) read.erase(word);         // types of checks
  CHECK(difference(read, in_schema) == "");
  CHECK(difference(in_schema, read) == "");
}

TEST_CASE("schema: what has a place in the schema is no unknown key") {
  const json service = service_schema()["definitions"]["service"]["properties"];
  for (const auto& [key, about] : service.items()) {
    CAPTURE(key);
    CHECK(about.contains("description"));
    const std::string text = key + ": x\n" + (key == "mode" ? "" : "mode: edge\n");
    const config::Config config = config::Memory{{"conf.d/x.yaml", text}}.load();
    CHECK(config::texts(config).find("unknown key") == std::string::npos);
  }
  for (const auto& [key, about] : gateway_schema()["properties"].items()) {
    CAPTURE(key);
    const config::Config config = config::Memory{{"gateway.yaml", key + ": x\n"}}.load();
    CHECK(config::texts(config).find("unknown key") == std::string::npos);
  }
}

TEST_CASE("schema: defaults hold what they may hold") {
  const json defaults = gateway_schema()["properties"]["defaults"]["anyOf"][0]["properties"];
  for (const auto& key : config::ServiceParts::keys()) {
    CAPTURE(key.name);
    CHECK(defaults.contains(std::string(key.name)) == key.in_defaults);
  }
}

}  // namespace sallyport
