#include "admin/resources.h"

namespace sallyport {

const Resource* find_resource(std::string_view path) noexcept {
  for (const Resource& resource : resources())
    if (resource.path == path) return &resource;
  return nullptr;
}

bool names_etag(std::string_view list, std::string_view etag) noexcept {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == etag) return true;
  }
  return false;
}

}  // namespace sallyport
