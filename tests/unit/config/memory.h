// A configuration folder and an environment in memory.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "config/load.h"

namespace sallyport::config {

class Memory : public Surroundings {
 public:
  Memory() = default;
  Memory(std::initializer_list<std::pair<const std::string, std::string>> files) : files_(files) {}
  Memory& file(const std::string& path, std::string text) {
    files_[path] = std::move(text);
    return *this;
  }
  Memory& remove(const std::string& path) {
    files_.erase(path);
    return *this;
  }
  Memory& set(const std::string& name, std::string value) {
    variables_[name] = std::move(value);
    return *this;
  }
  Config load(const Config* previous = nullptr) const { return config::load("/etc/sallyport", *this, previous); }

  std::optional<std::string> variable(const std::string& name) const override {
    const auto found = variables_.find(name);
    if (found == variables_.end()) return std::nullopt;
    return found->second;
  }
  Result<std::string> read(const std::filesystem::path& file, size_t) const override {
    const auto found = files_.find(inside(file));
    if (found == files_.end())
      return Error{Kind::config, Side::internal, Retry::no, ENOENT, "cannot read", file.string()};
    return found->second;
  }
  bool is_directory(const std::filesystem::path&) const override { return true; }
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) const override {
    const std::string prefix = inside(directory) + "/";
    std::vector<std::string> out;
    for (const auto& [path, text] : files_)
      if (path.starts_with(prefix)) out.push_back(path.substr(prefix.size()));
    std::reverse(out.begin(), out.end());  // a folder promises no order
    if (out.empty() && gone_)
      return Error{Kind::config, Side::internal, Retry::no, ENOENT, "cannot read the folder", {}};
    return out;
  }
  Memory& folder_gone() {
    gone_ = true;
    return *this;
  }

 private:
  static std::string inside(const std::filesystem::path& path) {
    return path.lexically_relative("/etc/sallyport").generic_string();
  }
  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> variables_;
  bool gone_ = false;
};

inline std::string texts(const Config& config) {
  std::string out;
  for (const Fault& fault : config.faults) out += fault.text() + "\n";
  return out;
}

inline const Service* find_service(const Config& config, const std::string& name) {
  for (const Service& service : config.services)
    if (service.name == name) return &service;
  return nullptr;
}

inline std::vector<std::string> names(const std::vector<Service>& services) {
  std::vector<std::string> out;
  for (const Service& service : services) out.push_back(service.name);
  return out;
}

}  // namespace sallyport::config
