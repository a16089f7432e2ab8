#include "admin/auth.h"

#include <algorithm>

#include "base/host.h"
#include "base/text.h"

namespace sallyport {
namespace {

// RFC 6454 section 7: "http://127.0.0.1:8404", or "null".
bool is_own_origin(std::string_view origin, std::string_view authority) noexcept {
  for (std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme)) return equal_ignoring_case(origin.substr(scheme.size()), authority);
  return false;
}

AdminAnswer unauthorized(std::string_view text) {
  AdminAnswer answer = error_answer(401, text);
  answer.fields.emplace_back("WWW-Authenticate", "Bearer realm=\"sallyport\"");
  return answer;
}

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) noexcept {
  if (secret.empty()) return false;
  volatile unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i)
    difference = difference | static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^
                                                    static_cast<unsigned char>(secret[i % secret.size()]));
  return difference == 0;
}

std::string_view bearer_token(const http::HeaderList& fields) noexcept {
  const auto value = fields.find(http::HeaderId::authorization);
  if (!value || value->size() < 7 || !equal_ignoring_case(value->substr(0, 7), "bearer ")) return {};
  return trim(value->substr(7));
}

bool is_own_host(std::string_view host) noexcept {
  if (host == "localhost") return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return is_ip_literal(host);
}

std::optional<AdminAnswer> refuse_page(const AdminPlace& place, AdminNeed need, const http::RequestHead& head) {
  if (place.local) return std::nullopt;
  const auto origin = head.fields.find("Origin");
  if (origin && !is_own_origin(*origin, head.authority)) return error_answer(403, "a page of another origin may not ask");
  const auto site = head.fields.find("Sec-Fetch-Site");
  if (site && *site != "same-origin" && *site != "none" && need != AdminNeed::nothing)
    return error_answer(403, "a page of another origin may not ask");
  return std::nullopt;
}

std::optional<AdminAnswer> refuse_access(const AdminPlace& place, AdminNeed need, const http::RequestHead& head) {
  const bool changes = need == AdminNeed::change || need == AdminNeed::change_unless_dry_run;
  if (place.local || need == AdminNeed::nothing) return std::nullopt;
  // Where none is needed a token is checked all the same, so that a page learns whether it has the right one.
  const std::string_view given = bearer_token(head.fields);
  if (equal_in_constant_time(given, place.token)) return std::nullopt;
  if (!changes && place.loopback && given.empty()) {
    // A name that leads here now may have led elsewhere when a page was loaded. Who has the token is no such page.
    const bool named = std::find(place.hosts.begin(), place.hosts.end(), head.host) != place.hosts.end();
    if (head.host.empty() || named || is_own_host(head.host)) return std::nullopt;
    return error_answer(403, "ask by address, as localhost, by a name in `admin: { hosts: [ … ] }`, or with the token: \"" +
                                 escaped(head.host, 64) + "\" may be a name of somebody else's");
  }
  if (place.token.empty())
    return error_answer(403, changes || place.loopback ? "nothing can be changed over HTTP, as gateway.yaml has no `admin: { token: … }`"
                                     : "nothing can be read from here, as gateway.yaml has no `admin: { token: … }`");
  return unauthorized(given.empty() ? "this needs the token: `Authorization: Bearer TOKEN`" : "the token is wrong");
}

}  // namespace sallyport
