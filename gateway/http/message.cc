#include "http/message.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <initializer_list>

#include "base/eight_bytes.h"
#include "base/host.h"
#include "base/text.h"

namespace sallyport::http {
namespace {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
  for (char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

template <class Word>
bool same_word(const char* name, const char* known) noexcept {
  constexpr auto kCase = static_cast<Word>(0x2020202020202020);  // set in lower case letters, in digits, and in "-"
  Word ours, theirs;
  std::memcpy(&theirs, name, sizeof theirs);
  std::memcpy(&ours, known, sizeof ours);
  return (theirs | kCase) == ours;
}

// known is lower case letters, digits and "-", and as long as name, a token: among tokens nothing else becomes one of
// these when the bit that tells the cases apart is set.
bool same(std::string_view name, std::string_view known) noexcept {
  const size_t size = known.size();
  const char* a = name.data();
  const char* b = known.data();
  if (size >= 8) {
    for (size_t at = 0; at + 8 <= size; at += 8)
      if (!same_word<uint64_t>(a + at, b + at)) return false;
    return same_word<uint64_t>(a + size - 8, b + size - 8);
  }
  if (size >= 4) return same_word<uint32_t>(a, b) && same_word<uint32_t>(a + size - 4, b + size - 4);
  return same_word<uint16_t>(a, b) && same_word<uint16_t>(a + size - 2, b + size - 2);
}

bool is_control(char c) noexcept {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

// Control characters among eight bytes, HTAB included, as eight_bytes.h tells them.
uint64_t controls(uint64_t word) noexcept { return eight_bytes::below(word, 0x20) | eight_bytes::equal(word, 0x7f); }

struct Known {
  std::string_view name;
  HeaderId id;
};

HeaderId pick(std::string_view name, std::initializer_list<Known> candidates) noexcept {
  for (const Known& known : candidates)
    if (same(name, known.name)) return known.id;
  return HeaderId::other;
}

}  // namespace

HeaderId header_id(std::string_view name) noexcept {
  using enum HeaderId;
  switch (name.size()) {
    case 2: return pick(name, {{"te", te}});
    case 4: return pick(name, {{"host", host}, {"date", date}});
    case 6: return pick(name, {{"cookie", cookie}, {"expect", expect}, {"server", server}});
    case 7: return pick(name, {{"upgrade", upgrade}, {"referer", referer}, {"trailer", trailer}});
    case 8: return pick(name, {{"location", location}, {"priority", priority}});
    case 9: return pick(name, {{"forwarded", forwarded}, {"x-real-ip", x_real_ip}});
    case 10:
      return pick(name, {{"connection", connection},
                         {"user-agent", user_agent},
                         {"set-cookie", set_cookie},
                         {"keep-alive", keep_alive}});
    case 12: return pick(name, {{"content-type", content_type}, {"grpc-timeout", grpc_timeout}});
    case 13: return pick(name, {{"authorization", authorization}});
    case 14: return pick(name, {{"content-length", content_length}, {"http2-settings", http2_settings}});
    case 15: return pick(name, {{"x-forwarded-for", x_forwarded_for}});
    case 16:
      return pick(name, {{"www-authenticate", www_authenticate},
                         {"x-forwarded-host", x_forwarded_host},
                         {"x-forwarded-port", x_forwarded_port},
                         {"proxy-connection", proxy_connection}});
    case 17: return pick(name, {{"transfer-encoding", transfer_encoding}, {"x-forwarded-proto", x_forwarded_proto}});
    case 18: return pick(name, {{"proxy-authenticate", proxy_authenticate}});
    case 19: return pick(name, {{"proxy-authorization", proxy_authorization}});
    default: return other;
  }
}

void HeaderList::clear() noexcept {
  text_.clear();
  entries_.clear();
}

void HeaderList::add(std::string_view name, std::string_view value, bool never_indexed) {
  const size_t used = text_.size();
  const size_t length = name.size() + value.size() + 4;
  TextBuffer old;  // either may be a view into this very list
  if (text_.capacity() - used < length) {
    old.room(std::max(2 * text_.capacity(), used + length));
    old.append(text_.view());
    text_.swap(old);
  }
  text_.commit(put(put(put(put(text_.room(length), name), ": "), value), "\r\n"));
  entries_.push_back({static_cast<uint32_t>(used), static_cast<uint32_t>(name.size()),
                      static_cast<uint32_t>(used + name.size() + 2), static_cast<uint32_t>(value.size()),
                      header_id(name), false, never_indexed, true});
}

uint32_t HeaderList::add_block(std::string_view block) {
  const size_t at = text_.size();
  text_.append(block);
  return static_cast<uint32_t>(at);
}

void HeaderList::add_at(uint32_t name_at, uint32_t name_length, uint32_t value_at, uint32_t value_length) {
  const HeaderId id = header_id({text_.data() + name_at, name_length});
  const char* text = text_.data();
  const uint32_t name_end = name_at + name_length;
  const uint32_t value_end = value_at + value_length;
  const bool as_line = value_at == name_end + 2 && value_end + 2 <= text_.size() && text[name_end] == ':' &&
                       text[name_end + 1] == ' ' && text[value_end] == '\r' && text[value_end + 1] == '\n';
  entries_.push_back({name_at, name_length, value_at, value_length, id, false, false, as_line});
}

bool HeaderList::remove(std::string_view name) noexcept {
  bool found = false;
  for (Entry& entry : entries_)
    if (!entry.removed && entry.name_length == name.size() && equal_ignoring_case(name_of(entry), name))
      entry.removed = found = true;
  return found;
}

bool HeaderList::remove(HeaderId id) noexcept {
  bool found = false;
  for (Entry& entry : entries_)
    if (entry.id == id && !entry.removed) entry.removed = found = true;
  return found;
}

void HeaderList::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

std::optional<std::string_view> HeaderList::find(std::string_view name) const noexcept {
  for (const Entry& entry : entries_)
    if (!entry.removed && entry.name_length == name.size() && equal_ignoring_case(name_of(entry), name))
      return value_of(entry);
  return std::nullopt;
}

std::optional<std::string_view> HeaderList::find(HeaderId id) const noexcept {
  for (const Entry& entry : entries_)
    if (entry.id == id && !entry.removed) return value_of(entry);
  return std::nullopt;
}

size_t HeaderList::count(HeaderId id) const noexcept {
  size_t found = 0;
  for (const Entry& entry : entries_) found += entry.id == id && !entry.removed;
  return found;
}

bool HeaderList::empty() const noexcept {
  for (const Entry& entry : entries_)
    if (!entry.removed) return false;
  return true;
}

std::string_view RequestHead::path() const noexcept {
  const std::string_view whole = target;
  return whole.substr(0, whole.find('?'));
}

void RequestHead::clear() noexcept {
  method.clear();
  target.clear();
  authority.clear();
  host.clear();
  authority_port = 0;
  version_major = version_minor = 1;
  fields.clear();
  body = Body::none;
  content_length = 0;
  keep_alive = true;
  expect_continue = wants_upgrade = false;
  connect_protocol.clear();
}

void ResponseHead::clear() noexcept {
  status = 0;
  reason.clear();
  version_minor = 1;
  fields.clear();
  body = Body::none;
  content_length = 0;
  has_content_length = false;
  keep_alive = true;
}

bool is_token(std::string_view text) noexcept {
  for (char c : text)
    if (!kToken[static_cast<unsigned char>(c)]) return false;
  return !text.empty();
}

size_t find_control(std::string_view text, size_t at) noexcept {
  while (text.size() - at >= 8) {
    const uint64_t found = controls(eight_bytes::load(text.data() + at));
    if (found == 0) {
      at += 8;
      continue;
    }
    if constexpr (std::endian::native == std::endian::little) at += static_cast<size_t>(std::countr_zero(found)) / 8;
    for (const size_t end = std::min(at + 8, text.size()); at < end; ++at)
      if (is_control(text[at])) return at;
  }
  while (at < text.size() && !is_control(text[at])) ++at;
  return at;
}

bool is_field_value(std::string_view text) noexcept {
  // Most have neither controls nor tabs.
  if (const size_t size = text.size(); size >= 8) {
    uint64_t found = controls(eight_bytes::load(text.data() + size - 8));
    for (size_t at = 0; at + 8 < size; at += 8) found |= controls(eight_bytes::load(text.data() + at));
    if (found == 0) return true;
  }
  return find_control(text, 0) == text.size();
}

bool is_trailer_field(std::string_view name, HeaderId id) noexcept {
  switch (id) {
    case HeaderId::other: break;
    case HeaderId::server:
    case HeaderId::priority:
    case HeaderId::grpc_timeout:
    case HeaderId::user_agent:
    case HeaderId::referer: return true;
    default: return false;
  }
  static constexpr std::string_view kNever[] = {"age",
                                                "allow",
                                                "authentication-info",
                                                "cache-control",
                                                "content-encoding",
                                                "content-range",
                                                "expires",
                                                "if-match",
                                                "if-modified-since",
                                                "if-none-match",
                                                "if-range",
                                                "if-unmodified-since",
                                                "max-forwards",
                                                "pragma",
                                                "proxy-authentication-info",
                                                "range",
                                                "retry-after",
                                                "vary",
                                                "via",
                                                "warning"};
  for (std::string_view never : kNever)
    if (equal_ignoring_case(name, never)) return false;
  return true;
}

bool parse_authority(std::string_view text, std::string& host, uint16_t& port) {
  port = 0;
  std::string_view name = text;
  std::string_view digits;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    name = text.substr(0, end + 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty()) {
      if (rest.front() != ':') return false;
      has_port = true;
      digits = rest.substr(1);
    }
    const std::string_view inner = name.substr(1, name.size() - 2);
    if (inner.find(':') == std::string_view::npos || inner.find('\0') != std::string_view::npos ||
        !is_ip_literal(inner))
      return false;
  } else {
    if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
      has_port = true;
      name = text.substr(0, colon);
      digits = text.substr(colon + 1);
    }
    if (!is_host_name(name)) return false;
    if (name.ends_with('.')) name.remove_suffix(1);
  }
  if (has_port) {
    uint32_t value = 0;
    if (digits.empty() || digits.size() > 5) return false;
    for (char c : digits) {
      if (!is_digit(c)) return false;
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    if (value == 0 || value > 65535) return false;
    port = static_cast<uint16_t>(value);
  }
  assign_lower(host, name);
  return true;
}

}  // namespace sallyport::http
