// One HTTP message's head, whatever version carried it. Sans-io: no sockets, no TLS. Objects are reused: clear() keeps
// the capacity, so that a warm worker parses without allocating.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/text_buffer.h"

namespace sallyport::http {

struct Header {
  std::string_view name;       // as received; compare ignoring case
  std::string_view value;      // without surrounding white space
  bool never_indexed = false;  // came so over HTTP/2, and goes on so (RFC 7541 section 6.2.3)
};

// Names the gateway itself looks at: found without comparing text again.
enum class HeaderId : uint8_t {
  other,
  connection,
  content_length,
  cookie,
  expect,
  forwarded,
  host,
  keep_alive,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  http2_settings,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_proto,
  x_real_ip,
  authorization,
  set_cookie,
  location,
  date,
  server,
  user_agent,
  referer,
  www_authenticate,
  content_type,
  priority,
  grpc_timeout,
};
// name must be a token.
HeaderId header_id(std::string_view name) noexcept;

// Fields in order of arrival. Views stay valid until the next change.
class HeaderList {
 public:
  void clear() noexcept;
  void add(std::string_view name, std::string_view value, bool never_indexed = false);
  // For a parser: copies a whole field section at once and returns where it begins; add_at then names the fields by
  // their places (offsets as returned plus those within the block). Fields, each with an OWS-trimmed value, in any
  // order.
  uint32_t add_block(std::string_view block);
  void add_at(uint32_t name_at, uint32_t name_length, uint32_t value_at, uint32_t value_length);
  // Removes every field of that name; false if there was none.
  bool remove(std::string_view name) noexcept;
  bool remove(HeaderId id) noexcept;
  void set(std::string_view name, std::string_view value);  // remove, then add
  // Removes every field for which condition(Header, HeaderId) says true.
  template <class Condition>
  void remove_if(Condition&& condition) {
    for (Entry& entry : entries_)
      if (!entry.removed && condition(Header{name_of(entry), value_of(entry)}, entry.id)) entry.removed = true;
  }
  // The first value; nullopt if absent.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  std::optional<std::string_view> find(HeaderId id) const noexcept;
  size_t count(HeaderId id) const noexcept;
  bool empty() const noexcept;

  // Calls visit(Header, HeaderId) for each field that was not removed.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : entries_)
      if (!entry.removed) visit(Header{name_of(entry), value_of(entry), entry.never_indexed}, entry.id);
  }
  // Appends the fields for which keep(Header, HeaderId) says true, as lines of HTTP/1.1. Those that stand side by side in
  // that form already, as most do, are copied together.
  template <class Keep>
  void append_lines(std::string& out, Keep&& keep) const {
    size_t from = 0;
    size_t to = 0;
    for (const Entry& entry : entries_) {
      if (entry.removed || !keep(Header{name_of(entry), value_of(entry)}, entry.id)) continue;
      if (!entry.as_line || entry.name_at != to) {
        out.append(text_.data() + from, to - from);
        from = to = entry.name_at;
      }
      if (entry.as_line) {
        to = entry.value_at + entry.value_length + 2;
      } else {
        out.append(name_of(entry)).append(": ", 2).append(value_of(entry)).append("\r\n", 2);
      }
    }
    out.append(text_.data() + from, to - from);
  }
  size_t capacity_bytes() const noexcept { return text_.capacity() + entries_.capacity() * sizeof(Entry); }

 private:
  struct Entry {
    uint32_t name_at, name_length, value_at, value_length;
    HeaderId id;
    bool removed;
    bool never_indexed;
    bool as_line;  // stands in the text as "Name: value" CRLF
  };
  std::string_view name_of(const Entry& e) const noexcept { return {text_.data() + e.name_at, e.name_length}; }
  std::string_view value_of(const Entry& e) const noexcept { return {text_.data() + e.value_at, e.value_length}; }
  TextBuffer text_;
  std::vector<Entry> entries_;
};

enum class Body : uint8_t {
  none,
  sized,        // content_length bytes
  chunked,      // or any stream whose end the framing tells
  until_close,  // responses only: HTTP/1.0 style
};

struct RequestHead {
  std::string method;  // a token, case kept
  std::string target;  // origin-form ("/path?query") or "*"; an absolute-form is reduced to its path and query
  std::string
      authority;     // the Host value as the client sent it (lower case), with its port if any; empty only in HTTP/1.0
  std::string host;  // normalised: lower case, no port, no trailing dot, IPv6 in brackets; empty if there was none
  uint16_t authority_port = 0;  // 0: none was given
  uint8_t version_major = 1;
  uint8_t version_minor = 1;
  HeaderList fields;  // without Host (see authority) and without Content-Length and Transfer-Encoding (see body)
  Body body = Body::none;
  uint64_t content_length = 0;
  bool keep_alive = true;  // what the client asked for
  bool expect_continue = false;
  bool wants_upgrade = false;              // HTTP/1.1 with Connection: upgrade and an Upgrade field (kept in fields)
  std::string connect_protocol;            // HTTP/2: :protocol of an extended CONNECT (RFC 8441), else empty
  std::string_view path() const noexcept;  // of the target, without the query
  bool is_head() const noexcept { return method == "HEAD"; }
  void clear() noexcept;
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  uint8_t version_minor = 1;
  HeaderList fields;  // without Content-Length and Transfer-Encoding (see body)
  Body body = Body::none;
  uint64_t content_length = 0;
  bool has_content_length = false;  // HEAD and 304 may tell a length and have no body
  bool keep_alive = true;
  bool interim() const noexcept { return status >= 100 && status < 200 && status != 101; }
  void clear() noexcept;
};

// RFC 9110 tokens and field values: what may stand in a head.
bool is_token(std::string_view text) noexcept;
// The first control character but HTAB at or after `at`; text.size() if there is none.
size_t find_control(std::string_view text, size_t at) noexcept;
bool is_field_value(std::string_view text) noexcept;  // no CR, LF, NUL, nor other controls but HTAB
// Whether a field may stand in a trailer section (RFC 9110 section 6.5.1): not what frames, routes, authenticates or
// describes the message, nor what only this gateway may say.
bool is_trailer_field(std::string_view name, HeaderId id) noexcept;
// Splits a comma-separated list field; calls visit(element) for each non-empty trimmed element.
template <class Visit>
void for_each_element(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) element.remove_prefix(1);
    while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) element.remove_suffix(1);
    if (!element.empty()) visit(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// "example.tld:8443" -> host and port, validated (RFC 3986 reg-name as is_host_name, IPv4, or [IPv6]); false when it is
// none.
bool parse_authority(std::string_view text, std::string& host, uint16_t& port);

}  // namespace sallyport::http
