#include "admin/schema_parts.h"

namespace sallyport::schema {
namespace {

constexpr const char* kVariable = R"(\$\{)";

json variable() { return {{"type", "string"}, {"pattern", kVariable}}; }

json patterned(const char* pattern) { return {{"type", "string"}, {"pattern", pattern}}; }

}  // namespace

json text(const char* about, const char* pattern) {
  if (pattern == nullptr) return {{"description", about}, {"type", {"string", "number", "boolean"}}};
  return {{"description", about}, {"type", "string"}, {"anyOf", {{{"pattern", pattern}}, {{"pattern", kVariable}}}}};
}

json words(const char* about, std::initializer_list<json> values) {
  return {{"description", about}, {"anyOf", {{{"enum", json::array_t(values)}}, variable()}}};
}

json boolean(const char* about) {
  return {{"description", about}, {"anyOf", {{{"type", "boolean"}}, {{"enum", {"true", "false"}}}, variable()}}};
}

json number(const char* about, uint64_t least, uint64_t most) {
  return {{"description", about},
          {"anyOf", {{{"type", "integer"}, {"minimum", least}, {"maximum", most}}, patterned("^[0-9]+$"), variable()}}};
}

json duration(const char* about) {
  return {{"description", about},
          {"anyOf", {patterned("^(0|[0-9]+(ms|s|m|h|d))$"), {{"const", 0}}, variable()}},
          {"examples", {"500ms", "5s", "10m", "1h"}}};
}

json size(const char* about) {
  return {{"description", about}, {"anyOf", {patterned("^[0-9]+(KiB|MiB|GiB)$"), variable()}}, {"examples", {"64KiB"}}};
}

json list_of(const char* about, json item) {
  return {{"description", about}, {"type", "array"}, {"items", std::move(item)}};
}

json networks(const char* about) {
  return list_of(about, text("an address or a network, such as 10.0.0.0/8", kNetwork));
}

json one_or_list(const char* about, const json& item) {
  return {{"description", about}, {"anyOf", {item, {{"type", "array"}, {"items", item}, {"minItems", 1}}}}};
}

json object(const char* about, json properties) {
  return {{"description", about},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

json either(const char* about, std::initializer_list<json> kinds) {
  return {{"description", about}, {"anyOf", json::array_t(kinds)}};
}

}  // namespace sallyport::schema
