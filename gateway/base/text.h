// Small text helpers: ASCII only, as every protocol here is.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sallyport {

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
void make_lower(char* text, size_t size) noexcept;  // in place, ASCII
// out becomes the text in lower case (ASCII); it must not be a view into out.
void assign_lower(std::string& out, std::string_view text);
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text) noexcept;  // spaces and tabs
// Decimal digits only, no sign, no space; nullopt on anything else or overflow.
std::optional<uint64_t> parse_number(std::string_view text) noexcept;

// With ", " between them.
std::string joined(std::span<const std::string> words);

// In decimal digits.
void append_number(std::string& out, uint64_t value);

// What a client controls, made safe for one log line: control characters, quotes and backslashes become \xNN, \" and
// \\; bytes that are not ASCII become \xNN. Cut at `most` bytes, with "…" then.
inline constexpr size_t kMostEscaped = 512;
std::string escaped(std::string_view text, size_t most = kMostEscaped);
void append_escaped(std::string& out, std::string_view text, size_t most = kMostEscaped);
// Which bytes stand for themselves.
using ByteSet = std::array<bool, 256>;
constexpr ByteSet make_plain_bytes() {
  ByteSet set{};
  for (size_t c = 0x20; c < 0x7f; ++c) set[c] = c != '"' && c != '\\';
  return set;
}
inline constexpr ByteSet kPlainBytes = make_plain_bytes();
// The same where more than those is not plain.
void append_escaped(std::string& out, std::string_view text, const ByteSet& plain, size_t most = kMostEscaped);
// As a JSON string, quotes included; invalid UTF-8 becomes U+FFFD.
void append_json(std::string& out, std::string_view text);

// The same into room that the caller has seen to; they return where it ends.
inline char* put(char* at, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}
inline constexpr size_t kNumberRoom = 20;
char* put_number(char* at, uint64_t value) noexcept;
constexpr size_t escaped_room(size_t size) noexcept { return 4 * size + 3; }
char* put_escaped(char* at, std::string_view text, size_t most = kMostEscaped) noexcept;
constexpr size_t json_room(size_t size) noexcept { return 6 * size + 2; }
char* put_json(char* at, std::string_view text) noexcept;

// The candidate nearest to the word (edit distance at most a third of its length, at least 1, swaps count one); empty
// if none is near.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace sallyport
