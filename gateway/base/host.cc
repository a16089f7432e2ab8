#include "base/host.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace sallyport {

bool is_host_name(std::string_view name) noexcept {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  size_t label = 0;
  for (char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    bool fine = is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
    if (!fine || ++label > 63) return false;
  }
  return label > 0;
}

bool is_ip_literal(std::string_view name) noexcept {
  char text[64];
  // inet_pton ends at a zero byte, and would not see what stands behind it.
  if (name.empty() || name.size() >= sizeof text || name.find('\0') != std::string_view::npos) return false;
  name.copy(text, name.size());
  text[name.size()] = '\0';
  unsigned char bytes[16];
  return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

std::string normalized_host(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return to_lower(name);
}

}  // namespace sallyport
