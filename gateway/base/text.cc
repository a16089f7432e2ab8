#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/format.h"

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

// What stands for itself in a log line and in JSON, as nearly everything does, is copied in whole stretches; returns what
// is left of the text.
inline std::string_view append_plain(std::string& out, std::string_view text, const ByteSet& plain = kPlainBytes) {
  size_t count = 0;
  while (count < text.size() && plain[static_cast<unsigned char>(text[count])]) ++count;
  out.append(text.substr(0, count));
  return text.substr(count);
}

}  // namespace

std::string joined(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

void append_number(std::string& out, uint64_t value) {
  char digits[20];
  const char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

void append_escaped(std::string& out, std::string_view text, size_t most) {
  append_escaped(out, text, kPlainBytes, most);
}

void append_escaped(std::string& out, std::string_view text, const ByteSet& plain, size_t most) {
  bool cut = text.size() > most;
  for (text = append_plain(out, text.substr(0, most), plain); !text.empty();
       text = append_plain(out, text.substr(1), plain)) {
    char c = text.front();
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (cut) out += "…";
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

void append_json(std::string& out, std::string_view text) {
  out += '"';
  while (!(text = append_plain(out, text)).empty()) {
    auto byte = static_cast<unsigned char>(text.front());
    size_t length = utf8_length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      length = 1;
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text.front();
    } else if (byte < 0x20 || byte == 0x7f) {
      format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
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
