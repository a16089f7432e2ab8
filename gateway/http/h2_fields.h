// What the field section of an HTTP/2 message means (RFC 9113 section 8): pseudo-header fields and fields become a
// RequestHead or a ResponseHead that the rest of the gateway cannot tell from an HTTP/1.1 one, or the message is
// malformed. And back: a head becomes a field list. Sans-io, and without nghttp2: whatever that lets through is caught
// here, so that nothing a field holds can become a second HTTP/1.1 request.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace sallyport::http {

struct H2FieldLimits {
  uint32_t list_bytes = 32 * 1024;  // SETTINGS_MAX_HEADER_LIST_SIZE: names, values and 32 a field
  uint32_t count = 200;
};

// Collects one field section. Memory stays bounded: past a limit, fields are counted and dropped.
class H2FieldReader {
 public:
  enum class Section : uint8_t { request, response, trailers };

  // fields and the strings a reader keeps are cleared, capacity kept.
  void begin(Section section, HeaderList& fields, const H2FieldLimits& limits) noexcept;
  // In order of arrival. What is wrong is kept for finish().
  void add(std::string_view name, std::string_view value, bool never_indexed = false);
  // Bytes of the list so far, as RFC 9113 section 6.5.2 counts them, dropped fields included.
  uint64_t list_bytes() const noexcept;

  enum class Verdict : uint8_t {
    good,
    too_large,  // over a limit: a request is to be answered 431
    malformed,  // why() tells; the stream is to be reset with PROTOCOL_ERROR
  };
  // ended: the section ends the stream too. Fills head but for head.fields, which begin() was given (it must be this
  // head's own list).
  //
  // A request: :method a token; :scheme http or https; :path in origin-form without "#", or "*" with OPTIONS;
  // :authority, or Host in its place, valid (parse_authority) and without userinfo; both only if they name the same
  // host and port. CONNECT as RFC 9113 section 8.5, and as RFC 8441 with :protocol: head.connect_protocol then.
  // Unknown, repeated, misplaced or empty pseudo-header fields, upper case or other characters that may not stand in a
  // name, CR, LF, NUL and other controls in a value, white space around it, connection-specific fields, TE other than
  // trailers, and a Content-Length that is repeated, malformed, or with an ended stream not 0, are malformed. Cookie
  // fields are joined by
  // "; " (section 8.2.3). body: none if ended, sized where Content-Length stands, else chunked.
  Verdict finish_request(RequestHead& head, bool ended);
  // A response: :status three digits, 101 is malformed; interim ones may not end the stream. head_request: it has no
  // body whatever Content-Length says.
  Verdict finish_response(ResponseHead& head, bool ended, bool head_request);
  // Trailers: no pseudo-header fields; what may not stand in a trailer section (is_trailer_field) is left out silently.
  Verdict finish_trailers();
  const char* why() const noexcept { return why_; }  // static text

 private:
  void bad(const char* why) noexcept {
    if (why_[0] == '\0') why_ = why;
  }
  bool too_large() const noexcept { return bytes_ > limits_.list_bytes || count_ > limits_.count; }
  std::string* pseudo(std::string_view name) noexcept;
  void add_regular(std::string_view name, std::string_view value, HeaderId id, bool never_indexed);
  void check_request();
  void read_authority(RequestHead& head);

  Section section_ = Section::request;
  HeaderList* fields_ = nullptr;
  H2FieldLimits limits_;
  const char* why_ = "";
  std::string method_, scheme_, authority_, path_, protocol_, status_, host_, cookies_;
  uint8_t seen_ = 0;  // pseudo-header fields, one bit each
  bool regular_seen_ = false;
  bool has_host_ = false;
  bool has_length_ = false;
  uint64_t length_ = 0;
  uint32_t count_ = 0;
  uint64_t bytes_ = 0;
};

// One field to be sent. Views into the head, or into `text` of the list.
struct H2Field {
  std::string_view name;
  std::string_view value;
  bool sensitive = false;  // never indexed (RFC 7541 section 7.1.3): Authorization, Cookie, Set-Cookie
};

// Reused: clear() keeps the capacity. Valid until the next change of it or of the head.
struct H2FieldList {
  std::vector<H2Field> fields;
  std::string text;  // names in lower case, numbers
  void clear() noexcept;
};

// A request to a server: pseudo-header fields, then the fields in lower case. scheme: what the connection to the server
// is ("https" with TLS). Connection-specific fields are left out, TE: trailers stays. Content-Length for a sized body.
// protocol: not empty makes it an extended CONNECT (RFC 8441), whatever head.method says; Upgrade and the Sec-WebSocket
// fields of the HTTP/1.1 handshake (Key, Accept) are left out then.
void list_request(H2FieldList& out, const RequestHead& head, std::string_view scheme, std::string_view protocol);
// A response to a client; interim ones too. Content-Length where HTTP/1.1 would write it. A 101 must have been made a
// 200 before.
void list_response(H2FieldList& out, const ResponseHead& head);
void list_trailers(H2FieldList& out, const HeaderList& trailers);

}  // namespace sallyport::http
