#include "http/h2_fields.h"

#include <algorithm>

#include "base/text.h"

namespace sallyport::http {
namespace {

constexpr size_t kMaxMethod = 64;
constexpr uint64_t kMaxContentLength = uint64_t{1} << 62;

// One bit of seen_ each.
enum Pseudo : uint8_t { kMethod = 1, kScheme = 2, kAuthority = 4, kPath = 8, kProtocol = 16, kStatus = 32 };

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool has_upper(std::string_view name) noexcept {
  return std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// As the HTTP/1.1 reader has it: nothing that splits a line, ends a target or begins a fragment.
bool is_path_and_query(std::string_view text) noexcept {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
           const auto u = static_cast<unsigned char>(c);
           return u > 0x20 && u < 0x7f && u != '#';
         });
}

}  // namespace

void H2FieldReader::begin(Section section, HeaderList& fields, const H2FieldLimits& limits) noexcept {
  section_ = section;
  fields_ = &fields;
  limits_ = limits;
  why_ = "";
  for (std::string* text : {&method_, &scheme_, &authority_, &path_, &protocol_, &status_, &host_, &cookies_})
    text->clear();
  seen_ = 0;
  regular_seen_ = has_host_ = has_length_ = false;
  length_ = 0;
  count_ = 0;
  bytes_ = 0;
  fields.clear();
}

// Where the value goes; null when such a field may not stand here, or stands here already.
std::string* H2FieldReader::pseudo(std::string_view name) noexcept {
  struct Known {
    std::string_view name;
    Section section;
    uint8_t bit;
    std::string H2FieldReader::*value;
  };
  static constexpr Known kKnown[] = {
      {":method", Section::request, kMethod, &H2FieldReader::method_},
      {":scheme", Section::request, kScheme, &H2FieldReader::scheme_},
      {":authority", Section::request, kAuthority, &H2FieldReader::authority_},
      {":path", Section::request, kPath, &H2FieldReader::path_},
      {":protocol", Section::request, kProtocol, &H2FieldReader::protocol_},
      {":status", Section::response, kStatus, &H2FieldReader::status_},
  };
  for (const Known& known : kKnown) {
    if (known.name != name || known.section != section_) continue;
    if ((seen_ & known.bit) != 0) {
      bad("repeated pseudo-header field");
      return nullptr;
    }
    seen_ = static_cast<uint8_t>(seen_ | known.bit);
    return &(this->*known.value);
  }
  bad(section_ == Section::trailers ? "pseudo-header field in trailers" : "unknown pseudo-header field");
  return nullptr;
}

uint64_t H2FieldReader::list_bytes() const noexcept { return bytes_; }

void H2FieldReader::add(std::string_view name, std::string_view value, bool never_indexed) {
  bytes_ += name.size() + value.size() + 32;  // RFC 9113 section 6.5.2
  ++count_;
  if (too_large()) return;
  if (!is_field_value(value) || (!value.empty() && (is_blank(value.front()) || is_blank(value.back()))))
    return bad("bad character in a field value");
  if (name.starts_with(':')) {
    if (regular_seen_) return bad("pseudo-header field after a field");
    std::string* slot = pseudo(name);
    if (slot == nullptr) return;
    if (value.empty()) return bad("empty pseudo-header field");
    slot->assign(value);
    return;
  }
  regular_seen_ = true;
  if (!is_token(name)) return bad("bad character in a field name");
  if (has_upper(name)) return bad("upper case in a field name");
  add_regular(name, value, header_id(name), never_indexed);
}

void H2FieldReader::add_regular(std::string_view name, std::string_view value, HeaderId id, bool never_indexed) {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_connection:
    case HeaderId::transfer_encoding:
    case HeaderId::upgrade: return bad("connection-specific field");
    case HeaderId::te:
      if (!equal_ignoring_case(value, "trailers")) return bad("TE other than trailers");
      break;
    default: break;
  }
  if (section_ == Section::trailers) {
    if (is_trailer_field(name, id)) fields_->add(name, value, never_indexed);
    return;
  }
  if (id == HeaderId::content_length) {
    const auto length = parse_number(value);
    if (has_length_) return bad("repeated Content-Length");
    if (!length || *length > kMaxContentLength) return bad("bad Content-Length");
    has_length_ = true;
    length_ = *length;
    return;
  }
  if (section_ == Section::request) {
    if (id == HeaderId::host) {
      if (has_host_) return bad("repeated Host");
      has_host_ = true;
      host_.assign(value);
      return;
    }
    if (id == HeaderId::cookie) {
      if (value.empty()) return;
      if (!cookies_.empty()) cookies_ += "; ";
      cookies_ += value;
      return;
    }
  }
  fields_->add(name, value, never_indexed);
}

// :authority or Host; both only if they say the same.
void H2FieldReader::read_authority(RequestHead& head) {
  const bool told = (seen_ & kAuthority) != 0;
  if (!told && !has_host_) return bad("neither :authority nor Host");
  const std::string_view authority = told ? authority_ : host_;
  if (!parse_authority(authority, head.host, head.authority_port)) return bad(told ? "bad :authority" : "bad Host");
  if (told && has_host_) {
    const uint16_t default_port = equal_ignoring_case(scheme_, "http") ? 80 : 443;
    const auto or_default = [&](uint16_t port) { return port == 0 ? default_port : port; };
    std::string host;
    uint16_t port = 0;
    if (!parse_authority(host_, host, port)) return bad("bad Host");
    if (host != head.host || or_default(port) != or_default(head.authority_port))
      return bad(":authority and Host disagree");
  }
  assign_lower(head.authority, authority);
}

void H2FieldReader::check_request() {
  if ((seen_ & kMethod) == 0) return bad("no :method");
  if (!is_token(method_) || method_.size() > kMaxMethod) return bad("bad :method");
  const bool protocol = (seen_ & kProtocol) != 0;
  if (method_ == "CONNECT") {
    if ((seen_ & kAuthority) == 0) return bad("CONNECT without :authority");
    if (!protocol)  // RFC 9113 section 8.5
      return (seen_ & (kScheme | kPath)) != 0 ? bad("CONNECT with :scheme or :path") : void();
    // As in an Upgrade field: a name, and perhaps a version (RFC 9110 section 7.8).
    const size_t slash = protocol_.find('/');
    const std::string_view version = slash == std::string::npos ? "1" : std::string_view(protocol_).substr(slash + 1);
    if (!is_token(std::string_view(protocol_).substr(0, slash)) || !is_token(version)) return bad("bad :protocol");
    if (has_length_) return bad("extended CONNECT with Content-Length");
  } else if (protocol) {
    return bad(":protocol without CONNECT");
  }
  if ((seen_ & kScheme) == 0) return bad("no :scheme");
  if (!equal_ignoring_case(scheme_, "http") && !equal_ignoring_case(scheme_, "https")) return bad("bad :scheme");
  if ((seen_ & kPath) == 0) return bad("no :path");
  if (!is_path_and_query(path_) && !(path_ == "*" && method_ == "OPTIONS")) return bad("bad :path");
}

H2FieldReader::Verdict H2FieldReader::finish_request(RequestHead& head, bool ended) {
  head.method.assign(method_);
  head.target.assign(path_);
  assign_lower(head.authority, authority_);
  head.host.clear();
  head.authority_port = 0;
  head.version_major = 2;
  head.version_minor = 0;
  head.keep_alive = true;
  head.expect_continue = head.wants_upgrade = false;
  head.connect_protocol.assign(protocol_);
  head.content_length = 0;
  head.body = ended ? Body::none : Body::chunked;
  if (*why_ != '\0') return Verdict::malformed;
  if (too_large()) return Verdict::too_large;
  check_request();
  if (*why_ == '\0') read_authority(head);
  if (ended && length_ != 0) bad("Content-Length without content");
  if (*why_ != '\0') return Verdict::malformed;
  if (!ended && has_length_) {
    head.body = Body::sized;
    head.content_length = length_;
  }
  if (!cookies_.empty()) fields_->add("cookie", cookies_);
  if (const auto expect = fields_->find(HeaderId::expect); expect && equal_ignoring_case(*expect, "100-continue")) {
    // RFC 9110 section 10.1.1: nothing to wait for without content.
    if (ended || (has_length_ && length_ == 0))
      fields_->remove(HeaderId::expect);
    else
      head.expect_continue = true;
  }
  return Verdict::good;
}

H2FieldReader::Verdict H2FieldReader::finish_response(ResponseHead& head, bool ended, bool head_request) {
  head.status = 0;
  head.reason.clear();
  head.version_minor = 1;
  head.body = Body::none;
  head.content_length = 0;
  head.has_content_length = false;
  head.keep_alive = true;
  if (*why_ != '\0') return Verdict::malformed;
  if (status_.size() == 3 && status_[0] != '0' && std::all_of(status_.begin(), status_.end(), is_digit))
    head.status = (status_[0] - '0') * 100 + (status_[1] - '0') * 10 + (status_[2] - '0');
  if (too_large()) return Verdict::too_large;
  if (head.status == 0) bad((seen_ & kStatus) == 0 ? "no :status" : "bad :status");
  if (head.status == 101) bad("101 in HTTP/2");  // RFC 9113 section 8.6
  const bool interim = head.status < 200;
  if (interim && ended) bad("interim response that ends the stream");
  // RFC 9110 section 8.6: no Content-Length in those.
  const bool lengthless = interim || head.status == 204;
  const bool bodiless = head_request || lengthless || head.status == 304;
  if (length_ != 0 && (lengthless || (ended && !bodiless))) bad("Content-Length without content");
  if (*why_ != '\0') return Verdict::malformed;
  if (has_length_ && !lengthless) {
    head.has_content_length = true;
    head.content_length = length_;
  }
  if (!bodiless && !ended) head.body = has_length_ ? Body::sized : Body::chunked;
  return Verdict::good;
}

H2FieldReader::Verdict H2FieldReader::finish_trailers() {
  if (*why_ != '\0') return Verdict::malformed;
  return too_large() ? Verdict::too_large : Verdict::good;
}

}  // namespace sallyport::http
