// Finds what serves a host: exact beats "*.example.tld" (one label) beats "*" (any name, and none). Lookups allocate
// nothing and cost the same with ten hosts and a hundred thousand.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sallyport {

template <class T>
class HostTable {
 public:
  // The entry of a pattern ("name", "*.name", "*"), made if there is none.
  T& at(const std::string& pattern) {
    if (pattern == "*") {
      has_any_ = true;
      return any_;
    }
    if (pattern.starts_with("*.")) return wildcard_[pattern.substr(2)];
    return exact_[pattern];
  }
  // For a normalised host, or "". Null: nobody.
  const T* find(std::string_view host) const noexcept {
    if (auto it = exact_.find(host); it != exact_.end()) return &it->second;
    size_t dot = host.find('.');
    if (!wildcard_.empty() && dot != std::string_view::npos && dot > 0)
      if (auto it = wildcard_.find(host.substr(dot + 1)); it != wildcard_.end()) return &it->second;
    return has_any_ ? &any_ : nullptr;
  }
  bool empty() const noexcept { return exact_.empty() && wildcard_.empty() && !has_any_; }
  template <class Visit>
  void for_each(Visit&& visit) {
    for (auto& [name, entry] : exact_) visit(name, entry);
    for (auto& [name, entry] : wildcard_) visit("*." + name, entry);
    if (has_any_) visit(std::string("*"), any_);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  using Map = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  Map exact_;
  Map wildcard_;  // by what stands behind "*."
  T any_{};
  bool has_any_ = false;
};

}  // namespace sallyport
