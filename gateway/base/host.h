// Host names as routing compares them: lower case, no trailing dot, no port.
#pragma once
#include <string>
#include <string_view>

namespace sallyport {

// A DNS name as a client or a user may send it: labels of letters, digits, '-' and '_', 1-63 each, 253 in all, one
// trailing dot allowed. No wildcard.
bool is_host_name(std::string_view name) noexcept;
// Numeric IPv4, or IPv6 without brackets.
bool is_ip_literal(std::string_view name) noexcept;
// Lower case, without the trailing dot. What was valid stays valid.
std::string normalized_host(std::string_view name);

}  // namespace sallyport
