#include "http/h1_writer.h"

#include <charconv>
#include <ctime>

#include "base/format.h"
#include "base/text.h"

namespace sallyport::http {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ", 2).append(value).append("\r\n", 2);
}

void append_content_length(std::string& out, uint64_t length) {
  out += "Content-Length: ";
  append_number(out, length);
  out += "\r\n";
}

bool is_framing(HeaderId id) noexcept {
  return id == HeaderId::connection || id == HeaderId::content_length || id == HeaderId::transfer_encoding;
}

}  // namespace

void append_request_head(std::string& out, const RequestHead& head, bool upgrade) {
  out.append(head.method).append(1, ' ').append(head.target).append(" HTTP/1.1\r\nHost: ").append(head.authority);
  out += "\r\n";
  bool te = false;
  head.fields.append_lines(out, [&](const Header&, HeaderId id) {
    if (is_framing(id) || id == HeaderId::host || (id == HeaderId::upgrade && !upgrade)) return false;
    te = te || id == HeaderId::te;
    return true;
  });
  if (upgrade || te)
    out += !te ? "Connection: upgrade\r\n" : upgrade ? "Connection: upgrade, TE\r\n" : "Connection: TE\r\n";
  switch (head.body) {
    case Body::none:
      if (head.method == "POST" || head.method == "PUT" || head.method == "PATCH") out += "Content-Length: 0\r\n";
      break;
    case Body::sized: append_content_length(out, head.content_length); break;
    case Body::chunked:
    case Body::until_close: out += "Transfer-Encoding: chunked\r\n"; break;
  }
  out += "\r\n";
}

void append_response_head(std::string& out, const ResponseHead& head, const ResponseFraming& framing) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<uint64_t>(head.status));
  out += ' ';
  if (head.reason.empty())
    out += reason_phrase(head.status);
  else
    out += head.reason;
  out += "\r\n";
  const bool may_upgrade = framing.upgrade || head.status == 426;
  bool upgrade = framing.upgrade;
  head.fields.append_lines(out, [&](const Header&, HeaderId id) {
    if (is_framing(id) || (id == HeaderId::upgrade && !may_upgrade)) return false;
    upgrade = upgrade || id == HeaderId::upgrade;
    return true;
  });
  const bool informational = head.status < 200;
  bool close = framing.close;
  if (!informational && head.status != 204) {
    switch (head.body) {
      case Body::none:
        if (head.has_content_length) append_content_length(out, head.content_length);
        break;
      case Body::sized: append_content_length(out, head.content_length); break;
      case Body::chunked:
        if (framing.http10)
          close = true;
        else
          out += "Transfer-Encoding: chunked\r\n";
        break;
      case Body::until_close: close = true; break;
    }
  }
  if (informational) {
    if (framing.upgrade) out += "Connection: upgrade\r\n";
  } else {
    const std::string_view option = close ? "close" : framing.http10 ? "keep-alive" : "";
    if (upgrade)
      append_field(out, "Connection", option.empty() ? "upgrade" : close ? "upgrade, close" : "upgrade, keep-alive");
    else if (!option.empty())
      append_field(out, "Connection", option);
  }
  out += "\r\n";
}

void append_chunk_prefix(std::string& out, uint64_t size) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
  out.append(digits, static_cast<size_t>(end - digits)).append("\r\n", 2);
}

void append_last_chunk(std::string& out, const HeaderList& trailers) {
  out += "0\r\n";
  trailers.append_lines(out, [](const Header&, HeaderId) { return true; });
  out += "\r\n";
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return "";
  }
}

std::string_view http_date() {
  thread_local time_t second = -1;
  thread_local char text[32];
  thread_local size_t length = 0;
  const time_t now = std::time(nullptr);
  if (now != second) {
    // Names of our own: strftime's follow the locale.
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    tm parts{};
    gmtime_r(&now, &parts);
    const auto end = fmt::format_to_n(text, sizeof text, "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                                      kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900,
                                      parts.tm_hour, parts.tm_min, parts.tm_sec);
    length = static_cast<size_t>(end.out - text);
    second = now;
  }
  return {text, length};
}

}  // namespace sallyport::http
