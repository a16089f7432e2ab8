// Views of bytes. Neither owns; the comment of whoever hands one out says how long it lives.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sallyport
