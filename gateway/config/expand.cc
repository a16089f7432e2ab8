#include "config/expand.h"

#include "base/format.h"
#include "config/source.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

bool is_variable_name(std::string_view name) noexcept {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  for (char c : name)
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  return true;
}

}  // namespace

Result<std::string> expand(std::string_view text, const Surroundings& surroundings) {
  std::string out;
  while (!text.empty()) {
    const size_t at = text.find("${");
    if (at == std::string_view::npos) return out.append(text);
    if (at > 0 && text[at - 1] == '$') {
      out.append(text.substr(0, at - 1)).append("${");
      text.remove_prefix(at + 2);
      continue;
    }
    out.append(text.substr(0, at));
    text.remove_prefix(at + 2);
    const size_t end = text.find('}');
    if (end == std::string_view::npos) return wrong("\"${\" without \"}\"; a plain \"${\" is written \"$${\"");
    const std::string_view inside = text.substr(0, end);
    const size_t colon = inside.find(":-");
    const std::string name(inside.substr(0, colon));
    if (!is_variable_name(name)) return wrong(format("{} is no name of an environment variable", quote(name)));
    const auto value = surroundings.variable(name);
    if (value && !(value->empty() && colon != std::string_view::npos))
      out.append(*value);
    else if (colon != std::string_view::npos)
      out.append(inside.substr(colon + 2));
    else
      return wrong(
          format("the environment variable {} is not set; ${{{}:-default}} gives a default", quote(name), name));
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace sallyport::config
