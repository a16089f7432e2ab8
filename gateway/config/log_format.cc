#include "config/log_format.h"

#include <algorithm>

#include "base/format.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostText = 4096;

struct Name {
  std::string_view text;
  LogField field;
};
constexpr Name kNames[] = {
    {"time", LogField::time},
    {"time_clf", LogField::time_clf},
    {"time_unix", LogField::time_unix},
    {"client", LogField::client},
    {"client_port", LogField::client_port},
    {"listener", LogField::listener},
    {"service", LogField::service},
    {"server", LogField::server},
    {"mode", LogField::mode},
    {"sni", LogField::sni},
    {"host", LogField::host},
    {"method", LogField::method},
    {"path", LogField::path},
    {"protocol", LogField::protocol},
    {"request", LogField::request},
    {"status", LogField::status},
    {"in", LogField::in},
    {"out", LogField::out},
    {"handshake_ms", LogField::handshake_ms},
    {"connect_ms", LogField::connect_ms},
    {"first_byte_ms", LogField::first_byte_ms},
    {"total_ms", LogField::total_ms},
    {"end", LogField::end},
    {"reason", LogField::reason},
    {"referer", LogField::referer},
    {"user_agent", LogField::user_agent},
};

// What a client has in its hand, be it through a reason that quotes it.
bool of_client(LogField field) noexcept {
  switch (field) {
    case LogField::sni:
    case LogField::host:
    case LogField::method:
    case LogField::path:
    case LogField::request:
    case LogField::reason:
    case LogField::referer:
    case LogField::user_agent: return true;
    default: return false;
  }
}

std::string in_braces(std::string_view name) { return format("{{{}}}", name); }

Error unknown_name(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Name& each : kNames) known.push_back(each.text);
  std::string message = format("unknown placeholder {}", in_braces(name));
  if (const std::string_view near = nearest_word(name, known); !near.empty())
    return wrong(message + format("; did you mean {}?", in_braces(near)));
  message += "; there are ";
  for (size_t i = 0; i < known.size(); ++i)
    message += format("{}{}", i == 0 ? "" : i + 1 == known.size() ? " and " : ", ", in_braces(known[i]));
  return wrong(std::move(message));
}

// "host" or "host:json", as it stands between the braces.
Result<LogPart> parse_placeholder(std::string_view inside) {
  const size_t colon = inside.find(':');
  const std::string_view name = inside.substr(0, colon);
  LogPart part;
  const auto found = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.text == name; });
  if (found == std::end(kNames)) return unknown_name(name);
  part.field = found->field;
  if (colon == std::string_view::npos) return part;
  if (inside.substr(colon + 1) != "json")
    return wrong(format("{}: behind the colon only \"json\" is known", in_braces(inside)));
  part.style = LogPart::Style::json;
  return part;
}

}  // namespace

Result<LogPattern> parse_log_format(std::string_view text) {
  if (text.size() > kMostText) return wrong(format("a log format has at most {} bytes", kMostText));
  LogPattern pattern;
  std::string literal;
  bool in_quotes = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
      return wrong("a log format is one line, without control characters but tabs");
    const bool doubled = i + 1 < text.size() && text[i + 1] == c;
    if (c == '}' && !doubled) return wrong("a \"}\" without \"{\"; a brace that is to be seen is written twice, \"}}\"");
    if (c != '{' || doubled) {
      if (c == '{' || c == '}') ++i;
      if (c == '"') in_quotes = !in_quotes;
      literal += c;
      continue;
    }
    const size_t close = text.find('}', i);
    if (close == std::string_view::npos)
      return wrong("a \"{\" without \"}\"; a brace that is to be seen is written twice, \"{{\"");
    auto part = parse_placeholder(text.substr(i + 1, close - i - 1));
    if (!part) return std::move(part.error());
    if (in_quotes && part->style == LogPart::Style::json)
      return wrong(format("{} brings its own quotes: leave out those around it", text.substr(i, close - i + 1)));
    if (in_quotes) part->style = LogPart::Style::quoted;
    part->before = std::exchange(literal, {});
    pattern.wants_headers |= part->field == LogField::referer || part->field == LogField::user_agent;
    pattern.parts.push_back(std::move(*part));
    i = close;
  }
  if (pattern.parts.empty()) return wrong("a log format has placeholders, such as {client}");
  if (in_quotes) return wrong("a log format has its double quotes in pairs");
  if (!literal.empty()) pattern.parts.push_back({std::move(literal), LogField::none, LogPart::Style::bare});

  // What ends a client's value that stands bare must not be in one: fields of its own could be made with it.
  pattern.bare_bytes[' '] = false;
  for (size_t i = 0; i + 1 < pattern.parts.size(); ++i) {
    const std::string& next = pattern.parts[i + 1].before;
    if (of_client(pattern.parts[i].field) && pattern.parts[i].style == LogPart::Style::bare && !next.empty())
      pattern.bare_bytes[static_cast<unsigned char>(next.front())] = false;
  }
  return pattern;
}

}  // namespace sallyport::config
