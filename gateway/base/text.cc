#include "base/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/eight_bytes.h"

namespace sallyport {

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

void make_lower(char* at, size_t left) noexcept {
  // Eight at a time: adding carries into the top bit of each byte that is at least "A", and of each that is beyond "Z".
  constexpr uint64_t kOnes = 0x0101010101010101;
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    const uint64_t low = word & (0x7f * kOnes);
    const uint64_t upper = (low + (0x80 - 'A') * kOnes) & ~(low + (0x7f - 'Z') * kOnes) & ~word & (0x80 * kOnes);
    word |= upper >> 2;
    std::memcpy(at, &word, 8);
  }
  for (; left > 0; ++at, --left) *at = lower(*at);
}

void assign_lower(std::string& out, std::string_view text) {
  out.assign(text);
  make_lower(out.data(), out.size());
}

std::string to_lower(std::string_view text) {
  std::string out;
  assign_lower(out, text);
  return out;
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> parse_number(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return std::nullopt;
    auto digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

namespace {

// What of eight bytes is not in kPlainBytes, as eight_bytes.h tells it.
uint64_t not_plain(uint64_t word) noexcept {
  using namespace eight_bytes;
  return below(word, 0x20) | equal(word, '"') | equal(word, '\\') | equal(word, 0x7f) | above_ascii(word);
}

// Copies what stands for itself in a log line and in JSON, as nearly everything does; returns how much that was. There
// is room for all of the text.
size_t put_plain(char* at, std::string_view text) noexcept {
  const char* from = text.data();
  size_t count = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; text.size() - count >= 8; count += 8) {
      const uint64_t word = eight_bytes::load(from + count);
      std::memcpy(at + count, &word, 8);
      if (const uint64_t found = not_plain(word); found != 0)
        return count + static_cast<size_t>(std::countr_zero(found)) / 8;
    }
  }
  for (; count < text.size() && kPlainBytes[static_cast<unsigned char>(from[count])]; ++count) at[count] = from[count];
  return count;
}

char* put_hex(char* at, unsigned char byte) noexcept {
  static constexpr char kHex[] = "0123456789abcdef";
  *at++ = kHex[byte >> 4];
  *at++ = kHex[byte & 15];
  return at;
}

// Has write(char*) write into room for so many bytes at the end.
template <class Write>
void append_by(std::string& out, size_t room, Write&& write) {
  const size_t had = out.size();
  out.resize(had + room);
  out.resize(static_cast<size_t>(write(out.data() + had) - out.data()));
}

}  // namespace

std::string joined(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

char* put_number(char* at, uint64_t value) noexcept {
  if (value < 10) {
    *at = static_cast<char>('0' + value);
    return at + 1;
  }
  return std::to_chars(at, at + kNumberRoom, value).ptr;
}

void append_number(std::string& out, uint64_t value) {
  char digits[kNumberRoom];
  out.append(digits, static_cast<size_t>(put_number(digits, value) - digits));
}

char* put_escaped(char* at, std::string_view text, size_t most) noexcept {
  const bool cut = text.size() > most;
  text = text.substr(0, most);
  for (;;) {
    const size_t count = put_plain(at, text);
    at += count;
    if (count == text.size()) break;
    const char c = text[count];
    *at++ = '\\';
    if (c == '"' || c == '\\') {
      *at++ = c;
    } else {
      *at++ = 'x';
      at = put_hex(at, static_cast<unsigned char>(c));
    }
    text.remove_prefix(count + 1);
  }
  return cut ? put(at, "…") : at;
}

void append_escaped(std::string& out, std::string_view text, size_t most) {
  append_by(out, escaped_room(std::min(text.size(), most)), [&](char* at) { return put_escaped(at, text, most); });
}

void append_escaped(std::string& out, std::string_view text, const ByteSet& plain, size_t most) {
  for (char c : text.substr(0, most)) {
    if (plain[static_cast<unsigned char>(c)]) {
      out += c;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      char hex[2];
      put_hex(hex, static_cast<unsigned char>(c));
      out.append("\\x").append(hex, 2);
    }
  }
  if (text.size() > most) out += "…";
}

std::string escaped(std::string_view text, size_t most) {
  std::string out;
  append_escaped(out, text, most);
  return out;
}

namespace {

// The length of the valid UTF-8 sequence at the front (RFC 3629), or 0.
size_t utf8_length(std::string_view text) noexcept {
  auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto follows = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!follows(1) || !follows(2)) return 0;
    if (first == 0xe0 && at(1) < 0xa0) return 0;
    if (first == 0xed && at(1) > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if (first == 0xf0 && at(1) < 0x90) return 0;
    if (first == 0xf4 && at(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

char* put_json(char* at, std::string_view text) noexcept {
  *at++ = '"';
  for (;;) {
    const size_t count = put_plain(at, text);
    at += count;
    if (count == text.size()) break;
    text.remove_prefix(count);
    const auto byte = static_cast<unsigned char>(text.front());
    size_t length = utf8_length(text);
    if (length == 0) {
      at = put(at, "\xef\xbf\xbd");
      length = 1;
    } else if (byte == '"' || byte == '\\') {
      *at++ = '\\';
      *at++ = text.front();
    } else if (byte < 0x20 || byte == 0x7f) {
      at = put_hex(put(at, "\\u00"), byte);
    } else {
      at = put(at, text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  *at++ = '"';
  return at;
}

void append_json(std::string& out, std::string_view text) {
  append_by(out, json_room(text.size()), [&](char* at) { return put_json(at, text); });
}

namespace {

// Edits between the two: insert, delete, replace, swap of neighbours (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > 64) return {};
  size_t bound = std::max<size_t>(1, word.size() / 3);
  std::string_view best;
  for (std::string_view candidate : candidates) {
    size_t edits = distance(word, candidate);
    // "passthru" is how people abbreviate "passthrough": a shared beginning counts as near.
    if (edits > bound && word.size() >= 5 && candidate.substr(0, word.size() - 2) == word.substr(0, word.size() - 2))
      edits = bound;
    if (edits <= bound) {
      if (!best.empty() && distance(word, best) <= edits) continue;
      best = candidate;
    }
  }
  return best;
}

}  // namespace sallyport
