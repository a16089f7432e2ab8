// Eight bytes of text looked at in one step. Where a byte is found, its top bit is set in what comes back. Of all that are, only
// the lowest is certain: those above it may be so by a borrow. Zero: there is none.
#pragma once
#include <cstdint>
#include <cstring>

namespace sallyport::eight_bytes {

inline constexpr uint64_t kOnes = 0x0101010101010101;
inline constexpr uint64_t kTops = 0x80 * kOnes;

inline uint64_t load(const char* at) noexcept {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
// least: at most 0x80.
inline uint64_t below(uint64_t word, uint64_t least) noexcept { return (word - least * kOnes) & ~word & kTops; }
inline uint64_t equal(uint64_t word, unsigned char byte) noexcept { return below(word ^ (byte * kOnes), 1); }
inline uint64_t above_ascii(uint64_t word) noexcept { return word & kTops; }

}  // namespace sallyport::eight_bytes
