#include "admin/explain_match.h"

#include <algorithm>
#include <cctype>

namespace sallyport {
namespace {

// RFC 3986 section 2.3.
bool is_plain(unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~'; }

std::string decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] != '%' || text.size() < 3 || std::isxdigit(static_cast<unsigned char>(text[1])) == 0 ||
        std::isxdigit(static_cast<unsigned char>(text[2])) == 0) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const auto byte = static_cast<unsigned char>(std::stoi(std::string(text.substr(1, 2)), nullptr, 16));
    if (is_plain(byte)) {
      out += static_cast<char>(byte);
    } else {
      out += '%';
      for (char digit : text.substr(1, 2)) out += static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
    }
    text.remove_prefix(3);
  }
  return out;
}

}  // namespace

bool is_below(std::string_view name, std::string_view wildcard) {
  if (!wildcard.starts_with("*.")) return false;
  const std::string_view domain = wildcard.substr(1);  // ".example.tld"
  if (name.size() <= domain.size() || !name.ends_with(domain)) return false;
  const std::string_view label = name.substr(0, name.size() - domain.size());
  return label.find('.') == std::string_view::npos;
}

HostMatch match_host(const std::vector<std::string>& patterns, std::string_view name) {
  HostMatch best;
  for (size_t i = 0; i < patterns.size(); ++i) {
    HostFit fit = HostFit::none;
    if (patterns[i] == "*")
      fit = HostFit::any;
    else if (!name.empty() && patterns[i] == name)
      fit = HostFit::exact;
    else if (is_below(name, patterns[i]))
      fit = HostFit::wildcard;
    if (fit > best.fit) best = {fit, i};
  }
  return best;
}

Segments path_segments(std::string_view path) {
  const std::string text = decoded(path.substr(0, path.find('?')));
  Segments out;
  std::string segment;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != '/') {
      segment += text[i];
      continue;
    }
    if (segment == "..") {
      if (!out.empty()) out.pop_back();
    } else if (!segment.empty() && segment != ".") {
      out.push_back(segment);
    }
    segment.clear();
  }
  return out;
}

std::optional<PathMatch> match_path(const std::vector<std::string>& prefixes, const Segments& path) {
  std::optional<PathMatch> best;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    const Segments prefix = path_segments(prefixes[i]);
    if (prefix.size() > path.size() || !std::equal(prefix.begin(), prefix.end(), path.begin())) continue;
    if (!best || prefix.size() > best->length) best = PathMatch{prefix.size(), i};
  }
  return best;
}

}  // namespace sallyport
