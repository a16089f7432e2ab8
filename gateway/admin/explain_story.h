// The answer of an explanation while it is found: steps, who lost, and the end.
#pragma once
#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <string_view>

#include "admin/explain_routes.h"
#include "config/model.h"

namespace sallyport {

class Story {
 public:
  explicit Story(std::string_view target);

  void step(std::string_view what, std::string text);
  void step(std::string_view what, std::string text, const config::Position& at);
  void put(const char* key, nlohmann::ordered_json value) { out_[key] = std::move(value); }
  // The service it is for: layer, name, file and line.
  void chose(const config::Service& service, const config::Position& at);
  // A service that was considered. Each is told once, and not all of thousands.
  void lost(const std::string& service, std::string why);
  // The end; the first one counts.
  void end(std::string_view outcome, int status, std::string why);
  nlohmann::ordered_json take();

 private:
  nlohmann::ordered_json out_;
  std::set<std::string> told_;
  bool ended_ = false;
};

std::string place_text(const config::Position& at);

}  // namespace sallyport
