#include "config/source.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/format.h"
#include "base/text.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostFaultsPerFile = 200;
constexpr int kExcerptColumns = 160;
constexpr size_t kQuotedBytes = 100;

bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int characters(std::string_view text) noexcept {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

// A mistake beside a secret must not carry it into a log. What stands behind these keys is masked, its length kept so
// that the caret still points at the mistake; a reference to a file or a variable may be seen.
void mask_secrets(std::string& line) {
  static constexpr std::array<std::string_view, 6> kSecret = {
      "token:", "password:", "authorization:", "cookie:", "webhook:", "smtp:"};
  for (std::string_view key : kSecret) {
    for (size_t from = 0;;) {
      const size_t at = to_lower(line).find(key, from);
      if (at == std::string::npos) break;
      from = at + key.size();
      const size_t begin = line.find_first_not_of(" \"'", from);
      if (begin == std::string::npos) break;
      const std::string_view value = std::string_view(line).substr(begin);
      if (value.starts_with("!file") || value.starts_with("${")) continue;
      std::string_view secret = value.substr(0, value.find_first_of(",}\"'"));
      secret = secret.substr(0, secret.find_last_not_of(' ') + 1);
      line.replace(begin, secret.size(), std::string(static_cast<size_t>(characters(secret)), '*'));
    }
  }
}

}  // namespace

Source::Source(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  if (text_.starts_with("\xEF\xBB\xBF")) text_.erase(0, 3);  // a byte order mark is no part of the first line
  starts_.push_back(0);
  for (size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1)) starts_.push_back(at + 1);
}

std::string_view Source::line(int mark_line) const noexcept {
  if (mark_line < 0 || mark_line >= lines()) return {};
  const size_t begin = starts_[static_cast<size_t>(mark_line)];
  std::string_view rest = std::string_view(text_).substr(begin);
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return rest;
}

Position Source::position(int mark_line, int mark_column) const {
  if (mark_line < 0 || mark_column < 0) return {path_, 1, 1};
  const std::string_view before = line(mark_line).substr(0, static_cast<size_t>(mark_column));
  return {path_, mark_line + 1, characters(before) + 1};
}

Position Source::position_of_byte(size_t offset) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const auto index = static_cast<size_t>(after - starts_.begin()) - 1;
  return position(static_cast<int>(index), static_cast<int>(offset - starts_[index]));
}

std::string Source::excerpt(const Position& at) const {
  if (at.line < 1 || at.column > kExcerptColumns) return {};
  std::string text(line(at.line - 1));
  mask_secrets(text);
  size_t end = 0;
  for (int seen = 0; end < text.size(); ++end) {
    if (!continues(text[end]) && ++seen > kExcerptColumns) break;
    const auto byte = static_cast<unsigned char>(text[end]);
    if (byte < 0x20 || byte == 0x7F) text[end] = ' ';
  }
  text.resize(end);
  text.resize(text.find_last_not_of(' ') + 1);
  return text;
}

const Source& Report::add_source(std::string path, std::string text) {
  order_.emplace(path, order_.size());
  auto& slot = sources_[path];
  slot = std::make_unique<Source>(path, std::move(text));
  return *slot;
}

void Report::add(Severity severity, const Position& at, std::string message, std::string service, bool with_excerpt) {
  order_.emplace(at.file, order_.size());
  if (severity == Severity::error) ++errors_;
  const size_t count = ++counts_[at.file];
  if (count > kMostFaultsPerFile) return;
  Fault fault{severity, at, std::move(message), {}, std::move(service)};
  if (count == kMostFaultsPerFile) fault.message += "; further faults of this file are not shown";
  const auto source = sources_.find(at.file);
  if (with_excerpt && source != sources_.end()) fault.excerpt = source->second->excerpt(at);
  faults_.push_back(std::move(fault));
}

std::vector<Fault> Report::take() {
  const auto key = [this](const Fault& f) { return std::tuple(order_[f.at.file], f.at.line, f.at.column); };
  std::stable_sort(faults_.begin(), faults_.end(), [&](const Fault& a, const Fault& b) { return key(a) < key(b); });
  return std::move(faults_);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    if (i >= kQuotedBytes && !continues(text[i])) {
      out += "…";
      break;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F)
      out += format("\\x{:02X}", byte);
    else
      out += text[i];
  }
  return out + '"';
}

size_t find_bad_text(std::string_view text) noexcept {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) return i;
      ++i;
      continue;
    }
    // RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
    const size_t more = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    if (byte < 0xC2 || byte > 0xF4 || i + more >= text.size()) return i;
    for (size_t k = 1; k <= more; ++k)
      if (!continues(text[i + k])) return i;
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if ((byte == 0xE0 && second < 0xA0) || (byte == 0xED && second > 0x9F) || (byte == 0xF0 && second < 0x90) ||
        (byte == 0xF4 && second > 0x8F))
      return i;
    i += more + 1;
  }
  return std::string_view::npos;
}

}  // namespace sallyport::config
