#include "layers/terminate/sticky_cookie.h"

#include <string>
#include <vector>

#include "base/text.h"

namespace sallyport {
namespace {

int server_of(const Upstream& upstream, std::string_view value) noexcept {
  for (size_t i = 0; i < upstream.cookie_values.size(); ++i)
    if (upstream.cookie_values[i] == value) return static_cast<int>(i);
  return -1;
}

}  // namespace

int take_cookie(const Upstream& upstream, http::HeaderList& fields) {
  if (upstream.cookie.empty()) return -1;
  int found = -1;
  bool present = false;
  std::vector<std::string> rest;  // each Cookie field without ours
  fields.for_each([&](const http::Header& field, http::HeaderId id) {
    if (id != http::HeaderId::cookie) return;
    std::string kept;
    std::string_view text = field.value;
    while (!text.empty()) {
      const size_t end = text.find(';');
      const std::string_view pair = trim(text.substr(0, end));
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      const size_t equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == upstream.cookie) {
        present = true;
        if (found < 0) found = server_of(upstream, pair.substr(equals + 1));
      } else if (!pair.empty()) {
        kept.append(kept.empty() ? "" : "; ").append(pair);
      }
    }
    rest.push_back(std::move(kept));
  });
  if (!present) return -1;
  fields.remove(http::HeaderId::cookie);
  for (const std::string& cookies : rest)
    if (!cookies.empty()) fields.add("Cookie", cookies);
  return found;
}

void add_cookie(const Upstream& upstream, size_t endpoint, bool secure, http::HeaderList& fields) {
  if (endpoint >= upstream.cookie_values.size()) return;
  std::string value = upstream.cookie + "=" + upstream.cookie_values[endpoint] + "; Path=/; HttpOnly; SameSite=Lax";
  if (secure) value += "; Secure";
  fields.add("Set-Cookie", value);
}

}  // namespace sallyport
