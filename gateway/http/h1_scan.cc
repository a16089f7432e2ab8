#include "http/h1_scan.h"

#include <bit>
#include <cstring>

namespace sallyport::http {
namespace {

bool is_control(char c) noexcept {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

// The first control character but HTAB at or after `at`; text.size() if there is none. Eight bytes a step: a byte below
// 0x20 borrows into its top bit when 0x20 is taken off, and 0x7f becomes 0 when 0x7f is flipped out.
size_t find_control(std::string_view text, size_t at) noexcept {
  constexpr uint64_t kOnes = 0x0101010101010101, kTops = 0x8080808080808080;
  while (text.size() - at >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    const uint64_t flipped = word ^ (0x7f * kOnes);
    const uint64_t hits = (((word - 0x20 * kOnes) & ~word) | ((flipped - kOnes) & ~flipped)) & kTops;
    if (hits == 0) {
      at += 8;
      continue;
    }
    // In memory order the first hit is exact; later ones may be borrows.
    const int bits = std::endian::native == std::endian::little ? std::countr_zero(hits) : std::countl_zero(hits);
    const size_t found = at + static_cast<size_t>(bits) / 8;
    if constexpr (std::endian::native == std::endian::little) {
      if (text[found] != '\t') return found;
      at = found + 1;
    } else {
      for (size_t end = at + 8; at < end; ++at)
        if (is_control(text[at])) return at;
    }
  }
  while (at < text.size() && !is_control(text[at])) ++at;
  return at;
}

}  // namespace

H1HeadScan::Verdict H1HeadScan::next(std::string_view text, bool start_line) noexcept {
  while (at_ < text.size()) {
    if (at_ == line_ && (line_ != 0 || !start_line) && (text[at_] == ' ' || text[at_] == '\t'))
      return bad(first_line_ == line_ - 2 && start_line ? "white space before the first field" : "obs-fold");
    const size_t found = find_control(text, at_);
    at_ = static_cast<uint32_t>(found);
    if (found == text.size()) return Verdict::more;
    if (text[found] != '\r')
      return bad(text[found] == '\n'   ? "bare LF"
                 : text[found] == '\0' ? "NUL in a head"
                                       : "control character in a head");
    if (found + 1 == text.size()) return Verdict::more;
    if (text[found + 1] != '\n') return bad("bare CR");
    const bool empty = found == line_;
    if (line_ == 0) first_line_ = at_;
    line_ = at_ += 2;
    if (empty) return Verdict::complete;
  }
  return Verdict::more;
}

}  // namespace sallyport::http
