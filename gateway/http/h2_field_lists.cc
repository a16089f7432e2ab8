// The writing half of h2_fields.h.
#include <charconv>

#include "base/text.h"
#include "http/h2_fields.h"

namespace sallyport::http {
namespace {

// RFC 9113 section 8.2.2, and what this gateway writes itself.
bool is_left_out(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_connection:
    case HeaderId::transfer_encoding:
    case HeaderId::upgrade:
    case HeaderId::http2_settings:
    case HeaderId::content_length:
    case HeaderId::te: return true;
    default: return false;
  }
}

bool is_sensitive(HeaderId id) noexcept {
  return id == HeaderId::authorization || id == HeaderId::proxy_authorization || id == HeaderId::cookie ||
         id == HeaderId::set_cookie;
}

void add(H2FieldList& out, std::string_view name, std::string_view value, bool sensitive = false) {
  value = trim(value);
  // Readers have refused those already. Whatever else put one here: it goes no further.
  if (is_field_value(value)) out.fields.push_back({name, value, sensitive});
}

// text has room for all names, so it does not move while views into it are taken.
std::string_view lower_name(H2FieldList& out, std::string_view name) {
  const size_t at = out.text.size();
  out.text.append(name);
  make_lower(out.text.data() + at, name.size());
  return std::string_view(out.text).substr(at);
}

template <class LeftOut>
void add_fields(H2FieldList& out, const HeaderList& fields, LeftOut&& left_out) {
  size_t room = out.text.size() + 20;
  fields.for_each([&](const Header& field, HeaderId) { room += field.name.size(); });
  // Nothing may point into the text yet.
  out.text.reserve(room);
  fields.for_each([&](const Header& field, HeaderId id) {
    if (is_left_out(id) || left_out(field, id) || !is_token(field.name)) return;
    add(out, lower_name(out, field.name), field.value, is_sensitive(id) || field.never_indexed);
  });
}

void add_length(H2FieldList& out, uint64_t length) {
  char digits[20];
  const size_t count = static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, length).ptr - digits);
  const size_t at = out.text.size();
  out.text.append(digits, count);
  add(out, "content-length", std::string_view(out.text).substr(at));
}

bool asks_for_trailers(const HeaderList& fields) {
  bool found = false;
  fields.for_each([&](const Header& field, HeaderId id) {
    if (id != HeaderId::te) return;
    for_each_element(field.value,
                     [&](std::string_view element) { found = found || equal_ignoring_case(element, "trailers"); });
  });
  return found;
}

bool is_handshake(std::string_view name) noexcept {
  return equal_ignoring_case(name, "sec-websocket-key") || equal_ignoring_case(name, "sec-websocket-accept");
}

}  // namespace

void H2FieldList::clear() noexcept {
  fields.clear();
  text.clear();
}

void list_request(H2FieldList& out, const RequestHead& head, std::string_view scheme, std::string_view protocol) {
  out.clear();
  const bool extended = !protocol.empty();
  const bool connect = extended || head.method == "CONNECT";
  add(out, ":method", extended ? std::string_view("CONNECT") : std::string_view(head.method));
  if (extended) add(out, ":protocol", protocol);
  if (extended || !connect) add(out, ":scheme", scheme);
  if (!head.authority.empty()) add(out, ":authority", head.authority);
  if (extended || !connect) add(out, ":path", head.target);
  add_fields(out, head.fields, [&](const Header& field, HeaderId id) {
    return id == HeaderId::host || (extended && is_handshake(field.name));
  });
  if (asks_for_trailers(head.fields)) add(out, "te", "trailers");
  if (head.body == Body::sized && !connect) add_length(out, head.content_length);
}

void list_response(H2FieldList& out, const ResponseHead& head) {
  out.clear();
  const int status = head.status >= 100 && head.status <= 999 ? head.status : 500;
  for (int unit : {100, 10, 1}) out.text += static_cast<char>('0' + status / unit % 10);
  out.fields.push_back({":status", {}, false});
  add_fields(out, head.fields, [](const Header&, HeaderId) { return false; });
  out.fields.front().value = std::string_view(out.text).substr(0, 3);  // now that the text stays where it is
  const bool length = head.body == Body::sized || (head.body == Body::none && head.has_content_length);
  if (length && status >= 200 && status != 204) add_length(out, head.content_length);
}

void list_trailers(H2FieldList& out, const HeaderList& trailers) {
  out.clear();
  add_fields(out, trailers, [](const Header& field, HeaderId id) { return !is_trailer_field(field.name, id); });
}

}  // namespace sallyport::http
