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

// The keys of every mapping that the schema describes.
void collect(const json& schema, std::set<Keys>& out) {
  if (schema.is_array())
    for (const json& one : schema) collect(one, out);
  if (!schema.is_object()) return;
  for (const auto& [key, value] : schema.items()) {
    if (key == "allOf" || key == "oneOf" || key == "if") continue;  // rules name keys that stand elsewhere
    if (key != "properties" && key != "definitions") {
      collect(value, out);
      continue;
    }
    Keys keys;
    for (const auto& [name, below] : value.items()) {
      keys.insert(name);
      collect(below, out);
    }
    if (key == "properties") out.insert(std::move(keys));
  }
}

std::string source(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// From an opening parenthesis to the one that closes it; texts and characters are passed over.
std::string_view arguments(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (text[i] == '\'' && text.substr(i + 2, 1) == "'") {
      i += 2;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')' && --depth == 0) {
      return text.substr(0, i + 1);
    }
  }
  return text;
}

// The keys of every table that Reader::fields() is given: {"key", what reads it}, and the helpers that make such a
// pair.
std::set<Keys> read_tables() {
  static const std::regex kField(
      R"re((?:\{\s*"([a-z0-9_]+)",\s*(?:\[|section\(|networks\(|openssl_list\(|later|type\b))|(?:\b(?:time|count|text|number|later|key)\("([a-z0-9_]+)"\s*[,)]))re");
  std::set<Keys> out;
  for (const auto& entry : std::filesystem::directory_iterator(SALLYPORT_SOURCE_DIR "/gateway/config")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = source(entry.path());
    for (size_t at = text.find("fields("); at != std::string::npos; at = text.find("fields(", at + 1)) {
      const std::string table(arguments(std::string_view(text).substr(at + 6)));
      Keys keys;
      for (std::sregex_iterator field(table.begin(), table.end(), kField), end; field != end; ++field)
        keys.insert((*field)[1].matched ? (*field)[1].str() : (*field)[2].str());
      if (!keys.empty()) out.insert(std::move(keys));
    }
  }
  return out;
}

std::string difference(const std::set<Keys>& a, const std::set<Keys>& b) {
  std::string out;
  for (const Keys& keys : a) {
    if (b.count(keys) > 0) continue;
    for (const std::string& key : keys) out += key + " ";
    out += "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("schema: the tables of the readers, and no others") {
  std::set<Keys> described;
  collect(service_schema(), described);
  collect(gateway_schema(), described);
  std::set<Keys> read = read_tables();
  CHECK(read.size() > 15);
  Keys all, in_defaults;
  for (const auto& key : config::ServiceParts::keys()) {
    all.emplace(key.name);
    if (key.in_defaults) in_defaults.emplace(key.name);
  }
  read.insert({all, in_defaults, {"http", "https", "ssh"}});  // the last: listeners that are always there
  CHECK(difference(read, described) == "");
  CHECK(difference(described, read) == "");
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
  const json gateway = gateway_schema()["properties"];
  for (const auto& [key, about] : gateway.items()) {
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
