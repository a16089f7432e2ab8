#include "admin/explain_story.h"

#include <utility>

#include "base/format.h"

namespace sallyport {
namespace {

constexpr size_t kMostOthers = 20;

}  // namespace

std::string place_text(const config::Position& at) { return at.line > 0 ? format("{}:{}", at.file, at.line) : at.file; }

Story::Story(std::string_view target) {
  out_["target"] = target;
  // In the order in which people read them.
  out_["outcome"] = "";
  out_["status"] = 0;
  out_["why"] = "";
  out_["steps"] = nlohmann::ordered_json::array();
  out_["others"] = nlohmann::ordered_json::array();
}

void Story::step(std::string_view what, std::string text) { step(what, std::move(text), {}); }

void Story::step(std::string_view what, std::string text, const config::Position& at) {
  nlohmann::ordered_json step{{"what", what}, {"text", std::move(text)}};
  if (!at.file.empty()) step["file"] = at.file;
  if (at.line > 0) step["line"] = at.line;
  out_["steps"].push_back(std::move(step));
}

void Story::chose(const config::Service& service, const config::Position& at) {
  out_["layer"] = config::name_of(service.mode);
  out_["service"] = service.name;
  if (!at.file.empty()) out_["file"] = at.file;
  if (at.line > 0) out_["line"] = at.line;
  told_.insert(service.name);
}

void Story::lost(const std::string& service, std::string why) {
  if (out_["others"].size() >= kMostOthers || !told_.insert(service).second) return;
  out_["others"].push_back({{"service", service}, {"why", std::move(why)}});
}

void Story::end(std::string_view outcome, int status, std::string why) {
  if (std::exchange(ended_, true)) return;
  out_["outcome"] = outcome;
  out_["status"] = status;
  step("outcome", why);
  out_["why"] = std::move(why);
}

nlohmann::ordered_json Story::take() { return std::move(out_); }

}  // namespace sallyport
