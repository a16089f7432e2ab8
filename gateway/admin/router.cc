#include "admin/router.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

bool fits(std::string_view pattern, const std::vector<std::string>& parts, std::vector<std::string>& captures) {
  captures.clear();
  pattern.remove_prefix(1);
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t slash = pattern.find('/');
    const std::string_view wanted = pattern.substr(0, slash);
    if (wanted == "{}") {
      if (parts[i].empty()) return false;
      captures.push_back(parts[i]);
    } else if (wanted != parts[i]) {
      return false;
    }
    if (slash == std::string_view::npos) return i + 1 == parts.size();
    pattern.remove_prefix(slash + 1);
  }
  return false;
}

}  // namespace

Router::Match Router::find(std::string_view method, const AdminTarget& target) const {
  Match match;
  std::string allowed;
  for (const Route& route : routes_) {
    if (!fits(route.pattern, target.parts, match.captures)) continue;
    const bool right = route.method == method || (route.method == "GET" && method == "HEAD");
    if (!right) {
      if (!allowed.empty()) allowed += ", ";
      allowed += route.method == "GET" ? std::string_view("GET, HEAD") : route.method;
      continue;
    }
    for (const auto& [name, value] : target.query) {
      if (std::find(route.parameters.begin(), route.parameters.end(), name) != route.parameters.end()) continue;
      const std::string_view near = nearest_word(name, route.parameters);
      match.refused = error_answer(400, format("there is no parameter \"{}\" here{}", escaped(name, 64),
                                               near.empty() ? "" : format("; did you mean \"{}\"?", near)));
      return match;
    }
    match.route = &route;
    return match;
  }
  if (allowed.empty()) {
    match.refused = error_answer(404, "there is nothing here: docs/admin-api.md tells what there is");
  } else {
    match.refused = error_answer(405, format("this takes {}", allowed));
    match.refused.fields.emplace_back("Allow", allowed);
  }
  return match;
}

}  // namespace sallyport
