#include "http/h1_rules.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace sallyport::http {
namespace {

constexpr size_t kMaxMethod = 64;
// More options in Connection than any client sends; each costs a search through the fields.
constexpr int kMaxConnectionOptions = 32;
constexpr uint64_t kMaxContentLength = uint64_t{1} << 62;

bool refuse(H1Failure& failure, int status, const char* why) noexcept {
  failure = {status, why};
  return false;
}

// What the fields say about the message and its connection, of a request and of a response alike.
struct Facts {
  int hosts = 0, lengths = 0, codings = 0, expects = 0, upgrades = 0, options = 0;
  std::string_view host, length, coding, upgrade;
  bool close = false, keep_alive = false, upgrade_option = false, bad_expect = false;
};

void note_connection(std::string_view value, Facts& facts) {
  for_each_element(value, [&](std::string_view option) {
    ++facts.options;
    if (equal_ignoring_case(option, "close"))
      facts.close = true;
    else if (equal_ignoring_case(option, "keep-alive"))
      facts.keep_alive = true;
    else if (equal_ignoring_case(option, "upgrade"))
      facts.upgrade_option = true;
  });
}

// Notes the fields that matter here, and takes the framing ones (and a request's Host) out of the list.
Facts take_facts(HeaderList& fields, bool request) {
  Facts facts;
  fields.remove_if([&](const Header& field, HeaderId id) {
    switch (id) {
      case HeaderId::host:
        if (!request) return false;
        ++facts.hosts;
        facts.host = field.value;
        return true;
      case HeaderId::content_length:
        ++facts.lengths;
        facts.length = field.value;
        return true;
      case HeaderId::transfer_encoding:
        ++facts.codings;
        facts.coding = field.value;
        return true;
      case HeaderId::connection: note_connection(field.value, facts); return false;
      case HeaderId::expect:
        ++facts.expects;
        if (!equal_ignoring_case(field.value, "100-continue")) facts.bad_expect = true;
        return false;
      case HeaderId::upgrade:
        ++facts.upgrades;
        facts.upgrade = field.value;
        return false;
      default: return false;
    }
  });
  return facts;
}

// RFC 9112 section 6.3, without the leniencies it allows: a repeated or list-valued Content-Length is refused even if
// all agree.
bool read_content_length(const Facts& facts, std::optional<uint64_t>& length, H1Failure& failure) {
  if (facts.lengths == 0) return true;
  if (facts.lengths > 1) return refuse(failure, 400, "repeated Content-Length");
  length = parse_number(facts.length);
  if (!length || *length > kMaxContentLength) return refuse(failure, 400, "bad Content-Length");
  return true;
}

// Exactly one "chunked" passes. Known-looking codings before it, or alone, are 501; what leaves the end open or is no
// list of tokens is 400.
bool check_transfer_encoding(const Facts& facts, H1Failure& failure) {
  if (facts.codings > 1) return refuse(failure, 400, "repeated Transfer-Encoding");
  if (equal_ignoring_case(facts.coding, "chunked")) return true;
  bool tokens = !facts.coding.empty() && !facts.coding.starts_with(',') && !facts.coding.ends_with(',');
  bool after_chunked = false;
  bool chunked = false;
  for_each_element(facts.coding, [&](std::string_view coding) {
    tokens = tokens && is_token(coding);
    after_chunked = after_chunked || chunked;
    chunked = chunked || equal_ignoring_case(coding, "chunked");
  });
  if (!tokens) return refuse(failure, 400, "bad Transfer-Encoding");
  if (after_chunked) return refuse(failure, 400, "chunked is not the last transfer coding");
  return refuse(failure, 501, "unknown transfer coding");
}

bool read_framing(const Facts& facts, uint8_t version_minor, std::optional<uint64_t>& length, H1Failure& failure) {
  if (facts.codings != 0) {
    if (facts.lengths != 0) return refuse(failure, 400, "Content-Length with Transfer-Encoding");
    if (version_minor == 0) return refuse(failure, 400, "Transfer-Encoding in HTTP/1.0");
    return check_transfer_encoding(facts, failure);
  }
  return read_content_length(facts, length, failure);
}

bool persists(const Facts& facts, uint8_t version_minor) noexcept {
  return !facts.close && (version_minor != 0 || facts.keep_alive);
}

bool is_version(std::string_view text) noexcept {
  return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
}

// A path and query as RFC 3986 has them, and the few characters more that browsers send unescaped; nothing that splits
// a line, ends a target or begins a fragment.
bool is_path_and_query(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u < 0x7f && u != '#';
  });
}


// "http://authority/path?query" (RFC 9112 section 3.2.2). Host must say the same, which the RFC would let us ignore.
bool read_absolute_form(std::string_view target, size_t scheme_length, RequestHead& head, H1Failure& failure) {
  const uint16_t default_port = scheme_length == 7 ? 80 : 443;
  std::string_view rest = target.substr(scheme_length);
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  rest.remove_prefix(end);
  if (!is_path_and_query(rest)) return refuse(failure, 400, "bad request target");
  std::string host;
  uint16_t port = 0;
  if (!parse_authority(authority, host, port)) return refuse(failure, 400, "bad authority in the target");
  if (head.authority.empty()) {
    assign_lower(head.authority, authority);
    head.host = host;
    head.authority_port = port;
  } else {
    const uint16_t told = head.authority_port == 0 ? default_port : head.authority_port;
    if (host != head.host || (port == 0 ? default_port : port) != told)
      return refuse(failure, 400, "target and Host disagree");
  }
  if (rest.empty() && head.method == "OPTIONS") {
    head.target = "*";  // RFC 9112 section 3.2.4
  } else if (rest.empty() || rest.front() == '?') {
    head.target = '/';
    head.target += rest;
  } else {
    head.target = rest;
  }
  return true;
}

bool read_target(std::string_view target, RequestHead& head, H1Failure& failure) {
  if (target.front() == '/') {
    if (!is_path_and_query(target)) return refuse(failure, 400, "bad request target");
    head.target = target;
    return true;
  }
  if (target == "*") {
    if (head.method != "OPTIONS") return refuse(failure, 400, "asterisk target without OPTIONS");
    head.target = target;
    return true;
  }
  if (equal_ignoring_case(target.substr(0, 7), "http://")) return read_absolute_form(target, 7, head, failure);
  if (equal_ignoring_case(target.substr(0, 8), "https://")) return read_absolute_form(target, 8, head, failure);
  return refuse(failure, 400, "bad request target");
}

bool read_host(const Facts& facts, RequestHead& head, H1Failure& failure) {
  if (facts.hosts > 1) return refuse(failure, 400, "repeated Host");
  if (facts.hosts == 0) return head.version_minor == 0 || refuse(failure, 400, "no Host");
  if (!parse_authority(facts.host, head.host, head.authority_port)) return refuse(failure, 400, "bad Host");
  assign_lower(head.authority, facts.host);
  return true;
}

// An upgrade is asked for with both fields and in HTTP/1.1 (RFC 9110 section 7.8). h2c is not forwarded: HTTP/2 would
// then pass by every rule here, so such a request is a plain one.
bool read_upgrade(const Facts& facts, RequestHead& head, H1Failure& failure) {
  bool h2c = false;
  bool valid = facts.upgrades == 1;
  bool any = false;
  for_each_element(facts.upgrade, [&](std::string_view protocol) {
    any = true;
    h2c = h2c || equal_ignoring_case(protocol, "h2c") || equal_ignoring_case(protocol, "h2");
    const size_t slash = protocol.find('/');
    valid = valid && is_token(protocol.substr(0, slash)) &&
            (slash == std::string_view::npos || is_token(protocol.substr(slash + 1)));
  });
  if (head.version_minor == 0 || !facts.upgrade_option || h2c || !any) {
    if (facts.upgrades != 0) head.fields.remove(HeaderId::upgrade);
    return true;
  }
  if (!valid) return refuse(failure, 400, "bad Upgrade");
  if (head.body != Body::none && (head.body == Body::chunked || head.content_length != 0))
    return refuse(failure, 400, "Upgrade with content");
  head.wants_upgrade = true;
  return true;
}

}  // namespace

bool read_request_line(std::string_view line, const H1Limits& limits, RequestHead& head, std::string_view& target,
                       H1Failure& failure) {
  const size_t first = line.find(' ');
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return refuse(failure, 400, "bad method");
  if (method.size() > kMaxMethod) return refuse(failure, 501, "method too long");
  if (first == std::string_view::npos) return refuse(failure, 400, "bad request line");
  const std::string_view rest = line.substr(first + 1);
  const size_t second = rest.find(' ');
  target = rest.substr(0, second);
  if (target.empty() || second == std::string_view::npos) return refuse(failure, 400, "bad request line");
  const std::string_view version = rest.substr(second + 1);
  if (!is_version(version)) return refuse(failure, 400, "bad HTTP version");
  if (version[5] != '1' || version[7] > '1') return refuse(failure, 505, "unsupported HTTP version");
  if (target.size() > limits.target_bytes) return refuse(failure, 414, "request target too long");
  if (method == "CONNECT") return refuse(failure, 405, "CONNECT");
  head.version_major = 1;
  head.version_minor = static_cast<uint8_t>(version[7] - '0');
  head.method = method;
  return true;
}

bool apply_request_rules(std::string_view target, RequestHead& head, H1Failure& failure) {
  const Facts facts = take_facts(head.fields, true);
  std::optional<uint64_t> length;
  if (!read_framing(facts, head.version_minor, length, failure)) return false;
  if (facts.codings != 0) head.body = Body::chunked;
  if (length) {
    head.body = Body::sized;
    head.content_length = *length;
  }
  if (facts.options > kMaxConnectionOptions) return refuse(failure, 400, "too many connection options");
  if (!read_host(facts, head, failure) || !read_target(target, head, failure)) return false;
  head.keep_alive = persists(facts, head.version_minor);
  if (facts.expects != 0) {
    const bool content = head.body == Body::chunked || head.content_length != 0;
    if (head.version_minor == 0 || (!content && !facts.bad_expect)) {
      head.fields.remove(
          HeaderId::expect);  // RFC 9110 section 10.1.1: ignored in HTTP/1.0; nothing to wait for without content
    } else if (facts.bad_expect) {
      return refuse(failure, 417, "unknown expectation");
    } else {
      head.expect_continue = true;
    }
  }
  return read_upgrade(facts, head, failure);
}

bool may_be_status_line(std::string_view start) noexcept {
  constexpr std::string_view kStart = "HTTP/1.";
  const size_t common = std::min(start.size(), kStart.size());
  return start.substr(0, common) == kStart.substr(0, common);
}

bool read_status_line(std::string_view line, ResponseHead& head, H1Failure& failure) {
  if (line.size() < 12 || !is_version(line.substr(0, 8)) || line[8] != ' ')
    return refuse(failure, 502, "bad status line");
  if (line[5] != '1' || line[7] > '1') return refuse(failure, 502, "unsupported HTTP version");
  if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || line[9] == '0')
    return refuse(failure, 502, "bad status code");
  if (line.size() > 12 && line[12] != ' ') return refuse(failure, 502, "bad status line");
  head.version_minor = static_cast<uint8_t>(line[7] - '0');
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (line.size() > 13) head.reason = line.substr(13);
  return true;
}

bool apply_response_rules(bool head_request, ResponseHead& head, H1Failure& failure) {
  const Facts facts = take_facts(head.fields, false);
  std::optional<uint64_t> length;
  if (!read_framing(facts, head.version_minor, length, failure)) return false;
  if (facts.options > kMaxConnectionOptions) return refuse(failure, 502, "too many connection options");
  head.keep_alive = persists(facts, head.version_minor);
  const bool informational = head.status < 200;
  const bool lengthless = informational || head.status == 204;  // RFC 9110 section 8.6: no Content-Length there
  if (length && !lengthless) {
    head.has_content_length = true;
    head.content_length = *length;
  }
  if (head_request || lengthless || head.status == 304) {
    head.body = Body::none;
  } else if (facts.codings != 0) {
    head.body = Body::chunked;
  } else if (length) {
    head.body = Body::sized;
  } else {
    head.body = Body::until_close;
    head.keep_alive = false;
  }
  return true;
}

}  // namespace sallyport::http
