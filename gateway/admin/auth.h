// Who may ask for what: the token, and what a web page of another origin may not do (DNS rebinding, CSRF). Pure
// functions.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/request.h"
#include "http/message.h"

namespace sallyport {

// What a request needs.
enum class AdminNeed : uint8_t {
  nothing,  // /health, and pages without data
  read,
  change,
  change_unless_dry_run,
};

// What counts where a request came in.
struct AdminPlace {
  bool local = false;     // the unix socket: its mode says who may ask
  bool loopback = false;  // HTTP on a loopback address
  std::string token;      // empty: nobody has one
  std::vector<std::string> hosts{};  // names it may be asked by, besides addresses
};

bool equal_in_constant_time(std::string_view given, std::string_view secret) noexcept;
// "Bearer TOKEN"; empty if there is none.
std::string_view bearer_token(const http::HeaderList& fields) noexcept;
// The Host of a request that no name server had a hand in: an IP address, or localhost.
bool is_own_host(std::string_view host) noexcept;
// Each null: go on.
std::optional<AdminAnswer> refuse_page(const AdminPlace& place, AdminNeed need, const http::RequestHead& head);
std::optional<AdminAnswer> refuse_access(const AdminPlace& place, AdminNeed need, const http::RequestHead& head);

}  // namespace sallyport
