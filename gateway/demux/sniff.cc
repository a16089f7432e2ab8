#include "demux/sniff.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace sallyport {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv;
constexpr auto kSsh2 = "SSH-2.0-"sv;
constexpr auto kSsh199 = "SSH-1.99-"sv;  // a server or client that speaks 1.5 as well, RFC 4253 section 5.1
constexpr size_t kMaxMethod = 24;        // the longest registered method has 17
constexpr size_t kMaxEmptyLines = 2;

// Methods no other protocol's first word is mistaken for: what follows them is a request target, well formed or not.
constexpr std::string_view kMethods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                         "CONNECT", "OPTIONS", "TRACE", "PATCH"};

constexpr size_t kLongestScheme = 5;  // "https"; "http:" has as many
static_assert(2 * kMaxEmptyLines + kMaxMethod + 1 + kLongestScheme <= kSniffBytes && kPreface.size() <= kSniffBytes);

enum class Match : uint8_t { no, partly, yes };

Match match(std::string_view seen, std::string_view pattern) noexcept {
  if (seen.starts_with(pattern)) return Match::yes;
  return pattern.starts_with(seen) ? Match::partly : Match::no;
}

bool is_token_char(char c) noexcept {  // RFC 9110 section 5.6.2
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || "!#$%&'*+-.^_`|~"sv.find(c) != std::string_view::npos;
}

// A method nobody registered followed by something that is no target is another protocol: "NICK alice", "set key 0 9".
Sniff sniff_target(std::string_view target) noexcept {
  if (target.empty()) return Sniff::need_more;
  if (target[0] == '/' || target[0] == '*') return Sniff::http1;
  for (auto scheme : {"http:"sv, "https"sv}) {
    size_t length = std::min(target.size(), scheme.size());
    if (equal_ignoring_case(target.substr(0, length), scheme.substr(0, length)))
      return length == scheme.size() ? Sniff::http1 : Sniff::need_more;
  }
  return Sniff::other;
}

Sniff sniff_request_line(std::string_view seen) noexcept {
  // RFC 9112 section 2.2: empty lines before the request line are to be ignored.
  size_t lines = 0;
  for (; lines < kMaxEmptyLines && seen.starts_with("\r\n"); ++lines) seen.remove_prefix(2);
  if (seen.empty() || (seen == "\r" && lines < kMaxEmptyLines)) return Sniff::need_more;
  size_t length = 0;
  while (length < seen.size() && length <= kMaxMethod && is_token_char(seen[length])) ++length;
  if (length == 0 || length > kMaxMethod) return Sniff::other;
  if (length == seen.size()) return Sniff::need_more;
  if (seen[length] != ' ') return Sniff::other;
  if (std::ranges::find(kMethods, seen.substr(0, length)) != std::end(kMethods)) return Sniff::http1;
  return sniff_target(seen.substr(length + 1));
}

}  // namespace

Sniff sniff(Bytes bytes) noexcept {
  std::string_view seen = as_text(bytes);
  if (seen.empty()) return Sniff::need_more;
  if (bytes[0] == 0x16) {
    if (bytes.size() >= 2 && bytes[1] != 3) return Sniff::other;
    if (bytes.size() < 3) return Sniff::need_more;
    return bytes[2] <= 4 ? Sniff::tls : Sniff::other;
  }
  // Both look like the start of a request line as well, so they are asked first, and until they are ruled out.
  Match preface = match(seen, kPreface);
  if (preface == Match::yes) return Sniff::h2_preface;
  Match ssh = std::max(match(seen, kSsh2), match(seen, kSsh199));
  if (ssh == Match::yes) return Sniff::ssh;
  if (preface == Match::partly || ssh == Match::partly) return Sniff::need_more;
  return sniff_request_line(seen);
}

}  // namespace sallyport
