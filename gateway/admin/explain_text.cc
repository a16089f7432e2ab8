// An explanation for people.
#include <algorithm>

#include "admin/explain.h"
#include "base/format.h"

namespace sallyport {
namespace {

using json = nlohmann::ordered_json;

std::string place(const json& at) {
  if (!at.contains("file")) return {};
  const std::string file = at["file"];
  return at.contains("line") ? format("  ({}:{})", file, at["line"].get<int>()) : format("  ({})", file);
}

size_t widest(const json& list, const char* key) {
  size_t width = 0;
  for (const json& one : list) width = std::max(width, one.at(key).get_ref<const std::string&>().size());
  return std::min<size_t>(width, 48);
}

}  // namespace

std::string explain_text(const json& explained) {
  if (explained.contains("error")) return explained["error"].get<std::string>() + "\n";
  std::string out = explained.at("target").get<std::string>() + "\n\n";
  size_t number = 0;
  const json& steps = explained.at("steps");
  for (const json& step : steps) {
    if (step.at("what") == "outcome") continue;
    out += format("{:>3}. {:<12} {}{}\n", ++number, step["what"].get<std::string>(), step["text"].get<std::string>(),
                  place(step));
  }
  out += format("\n  => {}", explained.at("why").get<std::string>());
  if (explained.contains("service")) out += place(explained);
  out += "\n";
  if (explained.contains("servers") && !explained["servers"].empty()) {
    out += "\nServers\n";
    const size_t width = widest(explained["servers"], "server");
    for (const json& server : explained["servers"])
      out += format("  {} {:<{}}  {}\n", server["takes"].get<bool>() ? "+" : "-", server["server"].get<std::string>(),
                    width, server["why"].get<std::string>());
  }
  if (!explained.at("others").empty()) {
    out += "\nOther services\n";
    const size_t width = widest(explained["others"], "service");
    for (const json& other : explained["others"])
      out += format("  {:<{}}  {}\n", other["service"].get<std::string>(), width, other["why"].get<std::string>());
  }
  return out;
}

}  // namespace sallyport
