// How hosts and paths of services fit what a client asks for, as docs/configuration.md says. Pure functions, written
// anew from there and from RFC 3986, so that they can be held against what routes traffic.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport {

enum class HostFit : uint8_t { none, any, wildcard, exact };

struct HostMatch {
  HostFit fit = HostFit::none;
  size_t index = 0;  // which of the hosts
};
// The best of the patterns for a name; "" (no name at all) is only met by "*".
HostMatch match_host(const std::vector<std::string>& patterns, std::string_view name);
bool is_below(std::string_view name, std::string_view wildcard);  // "a.example.tld" of "*.example.tld": one label

// A path without its query, divided at "/": unreserved characters decoded and %XX in upper case (RFC 3986 sections
// 6.2.2.1 and 6.2.2.2), "." and ".." followed (section 5.2.4), and empty segments left out.
using Segments = std::vector<std::string>;
Segments path_segments(std::string_view path);

struct PathMatch {
  size_t length = 0;  // in segments: the longer one wins
  size_t index = 0;   // which of the paths
};
// The longest of the prefixes that fits; nullopt if none does.
std::optional<PathMatch> match_path(const std::vector<std::string>& prefixes, const Segments& path);

}  // namespace sallyport
