// The files of the dashboard (gateway/admin/dashboard), as they were when the program was built. They hold nothing secret,
// and are given to anybody who may connect: what they show comes from /api/v1.
#pragma once
#include <span>
#include <string_view>

namespace sallyport {

struct Resource {
  std::string_view path;  // "/" for the page itself
  std::string_view type;
  std::string_view body;
  std::string_view etag;  // with its quotes
};

std::span<const Resource> resources() noexcept;

// path: without query. Null: there is no such file.
const Resource* find_resource(std::string_view path) noexcept;

// Whether If-None-Match names it: then 304 (RFC 9110 section 13.1.2).
bool names_etag(std::string_view if_none_match, std::string_view etag) noexcept;

// Content-Security-Policy of all that the admin interface answers: nothing of another place is loaded, nothing inline
// runs, no text becomes markup, nobody frames it.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

}  // namespace sallyport
