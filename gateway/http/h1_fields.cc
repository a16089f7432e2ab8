// The llhttp side of h1_scan.h.
#include <llhttp.h>

#include "http/h1_scan.h"

namespace sallyport::http {
namespace {

struct Collector {
  const char* begin;   // of the section
  const char* cursor;  // where the next field line must begin
  const char* end;
  HeaderList& fields;
  uint32_t base;  // where the section lies in the list's text
  uint32_t room;
  std::string_view name{};
  std::string_view value{};
  bool pending = false;
  H1Failure failure{};

  bool refuse(int status, const char* why) noexcept {
    failure = {status, why};
    return false;
  }

  static bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

  // name ":" OWS value OWS CRLF, beginning at the cursor, with nothing else between (RFC 9112 section 5).
  bool finish_field() noexcept {
    if (!pending) return true;
    pending = false;
    const char* at = cursor;
    if (name.data() != at || !is_token(name)) return refuse(400, "bad field name");
    at += name.size();
    if (at == end || *at != ':') return refuse(400, blank(*at) ? "space before a colon" : "no colon in a field");
    ++at;
    while (at != end && blank(*at)) ++at;
    const char* from = at;
    if (!value.empty()) {
      if (value.data() != at) return refuse(400, "bad field value");
      at += value.size();
      while (at != from && blank(at[-1])) --at;
    }
    const char* to = at;
    while (at != end && blank(*at)) ++at;
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return refuse(400, "bad field value");
    cursor = at + 2;
    if (room-- == 0) return refuse(431, "too many fields");
    fields.add_at(base + static_cast<uint32_t>(name.data() - begin), static_cast<uint32_t>(name.size()),
                  base + static_cast<uint32_t>(from - begin), static_cast<uint32_t>(to - from));
    return true;
  }
};

Collector& collector(llhttp_t* parser) noexcept { return *static_cast<Collector*>(parser->data); }

// A span may come in pieces; pieces that touch are one.
void extend(std::string_view& span, const char* at, size_t length) noexcept {
  if (span.empty() || span.data() + span.size() != at)
    span = {at, length};
  else
    span = {span.data(), span.size() + length};
}

int on_field(llhttp_t* parser, const char* at, size_t length) {
  Collector& c = collector(parser);
  if (c.pending && c.value.data() == nullptr && c.name.data() + c.name.size() == at) {
    extend(c.name, at, length);
    return 0;
  }
  if (!c.finish_field()) return -1;
  c.name = {at, length};
  c.value = {};
  c.pending = true;
  return 0;
}

int on_value(llhttp_t* parser, const char* at, size_t length) {
  extend(collector(parser).value, at, length);
  return 0;
}

int on_head_end(llhttp_t* parser) { return collector(parser).finish_field() ? HPE_PAUSED : -1; }

// llhttp knows a fixed list of methods, and its framing rules differ between versions. So it is shown field sections
// only: a parser that has just read a start line, copied for each section. It holds no pointer into itself.
struct Template {
  llhttp_settings_t settings;
  llhttp_t parser;
  Template() noexcept {
    llhttp_settings_init(&settings);
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    static constexpr std::string_view kLine = "GET / HTTP/1.1\r\n";
    llhttp_execute(&parser, kLine.data(), kLine.size());
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_head_end;
  }
  Template(const Template&) = delete;
  Template& operator=(const Template&) = delete;
};

}  // namespace

bool parse_field_section(std::string_view section, uint32_t most_fields, HeaderList& fields, H1Failure& failure) {
  if (section == "\r\n") return true;
  static const Template prepared;
  Collector c{section.data(), section.data(), section.data() + section.size(), fields, fields.add_block(section),
              most_fields};
  llhttp_t parser = prepared.parser;
  parser.data = &c;
  const llhttp_errno_t answer = llhttp_execute(&parser, section.data(), section.size());
  if (*c.failure.why != '\0') {
    failure = c.failure;
    return false;
  }
  if (answer != HPE_PAUSED || c.cursor + 2 != c.end) {
    switch (answer) {
      case HPE_UNEXPECTED_CONTENT_LENGTH:
      case HPE_INVALID_CONTENT_LENGTH: failure = {400, "bad Content-Length"}; break;
      case HPE_INVALID_TRANSFER_ENCODING: failure = {400, "bad Transfer-Encoding"}; break;
      case HPE_UNEXPECTED_SPACE: failure = {400, "space before a colon"}; break;
      default: failure = {400, "malformed field"};
    }
    return false;
  }
  return true;
}

}  // namespace sallyport::http
