#include "admin/target.h"

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

constexpr size_t kMostParts = 16;
constexpr size_t kMostParameters = 32;

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    out += c;
  }
  return true;
}

bool parse_query(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (pair.empty()) continue;
    if (out.size() == kMostParameters) return false;
    const size_t equals = pair.find('=');
    std::string name, value;
    if (!decode(pair.substr(0, equals), true, name)) return false;
    if (equals != std::string_view::npos && !decode(pair.substr(equals + 1), true, value)) return false;
    out.emplace_back(std::move(name), std::move(value));
  }
  return true;
}

}  // namespace

bool parse_target(std::string_view target, AdminTarget& out) {
  out.parts.clear();
  out.query.clear();
  if (!target.starts_with('/')) return false;
  const size_t mark = target.find('?');
  if (mark != std::string_view::npos && !parse_query(target.substr(mark + 1), out.query)) return false;
  std::string_view path = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  for (;;) {
    if (out.parts.size() == kMostParts) return false;
    const size_t slash = path.find('/');
    std::string part;
    if (!decode(path.substr(0, slash), false, part)) return false;
    out.parts.push_back(std::move(part));
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace sallyport
