#include "base/host.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>

#include "base/text.h"

namespace sallyport {

namespace {

enum : uint8_t { kBad, kInLabel, kDot };

constexpr std::array<uint8_t, 256> make_table() {
  std::array<uint8_t, 256> table{};
  for (int c = 0; c < 256; ++c)
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_')
      table[static_cast<size_t>(c)] = kInLabel;
  table['.'] = kDot;
  return table;
}
constexpr std::array<uint8_t, 256> kTable = make_table();

}  // namespace

bool is_host_name(std::string_view name) noexcept {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  size_t label = 0;
  for (char c : name) {
    const uint8_t kind = kTable[static_cast<unsigned char>(c)];
    if (kind == kInLabel) {
      if (++label > 63) return false;
      continue;
    }
    if (kind == kBad || label == 0) return false;
    label = 0;
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
