// Files that are part of the program: the pages of the admin interface.
#pragma once
#include <span>
#include <string_view>

namespace sallyport {

struct Resource {
  std::string_view path;  // "/"
  std::string_view type;  // "text/html; charset=utf-8"
  std::string_view bytes;
};
// They hold nothing that only some may see: everybody who gets through to the address may load them.
std::span<const Resource> resources() noexcept;

}  // namespace sallyport
