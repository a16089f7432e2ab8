#include "http/reply.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "http/h1_writer.h"

namespace sallyport::http {
namespace {

// One sentence for a person who meets the page; nothing about what stands behind it.
std::string_view sentence(int status) noexcept {
  switch (status) {
    case 400: return "The request could not be understood.";
    case 403: return "You may not open this from where you are.";
    case 404: return "There is nothing at this address.";
    case 405: return "This cannot be done here.";
    case 408: return "The request took too long to arrive. Please try again.";
    case 413: return "What was sent is too large.";
    case 414: return "The address is too long.";
    case 417: return "The request expects something that cannot be promised here.";
    case 421: return "The request arrived on a connection made for another name. Please try again.";
    case 425: return "The request arrived too early. Please try again.";
    case 429: return "Too many requests came from you. Please wait a moment.";
    case 431: return "The header of the request is too large. Deleting the cookies of this site may help.";
    case 500: return "Something went wrong here. Trying again may help.";
    case 501: return "The request asks for something that is not known here.";
    case 502: return "The service behind this address gave no usable answer.";
    case 503: return "The service behind this address is not available at the moment. Please try again later.";
    case 504: return "The service behind this address took too long to answer.";
    case 505: return "This version of HTTP is not spoken here.";
    default: return status >= 500 ? "Something went wrong." : "The request was refused.";
  }
}

constexpr std::string_view kPage =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0} {1}</title>\n<style>\n"
    ":root {{ color-scheme: light dark; }}\n"
    "body {{ margin: 20vh auto 0; max-width: 32rem; padding: 0 1.5rem; font: 1rem/1.5 system-ui, sans-serif; "
    "color: #222; background: #fafafa; }}\n"
    "h1 {{ font-size: 1.4rem; font-weight: 600; }}\nh1 b {{ color: #a33; }}\n"
    "@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818; }} h1 b {{ color: #e88; }} }}\n"
    "</style>\n</head>\n<body>\n<h1><b>{0}</b> {1}</h1>\n<p>{2}</p>\n</body>\n</html>\n";

// Characters of RFC 3986 and the few more that browsers leave unescaped. What could end the field, or the page around
// it, is not among them.
bool is_location(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u < 0x7f;
  });
}

void set_sized(Reply& reply) {
  reply.head.body = Body::sized;
  reply.head.has_content_length = true;
  reply.head.content_length = reply.body.size();
}

}  // namespace

Reply error_reply(int status) {
  Reply reply;
  reply.head.status = status;
  const std::string_view name = reason_phrase(status);
  reply.body = fmt::format(kPage, status, name.empty() ? "Error" : name, sentence(status));
  HeaderList& fields = reply.head.fields;
  fields.add("Date", http_date());
  fields.add("Content-Type", "text/html; charset=utf-8");
  fields.add("Cache-Control", "no-store");
  fields.add("X-Content-Type-Options", "nosniff");
  if (status == 503) fields.add("Retry-After", "5");  // servers are looked at every few seconds
  if (status == 405) fields.add("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");  // RFC 9110 section 15.5.6
  set_sized(reply);
  return reply;
}

void make_redirect(Reply& reply, int status, std::initializer_list<std::string_view> location) {
  constexpr std::string_view kBefore = "Moved to ";
  std::string& body = reply.body;
  body.assign(kBefore);
  for (std::string_view piece : location) body.append(piece);
  const std::string_view whole = std::string_view(body).substr(kBefore.size());
  if (!is_location(whole)) {
    reply = error_reply(400);
    return;
  }
  reply.head.clear();
  reply.head.status = status;
  HeaderList& fields = reply.head.fields;
  fields.add("Date", http_date());
  fields.add("Location", whole);
  fields.add("Content-Type", "text/plain");
  fields.add("X-Content-Type-Options", "nosniff");
  body += '\n';
  set_sized(reply);
}

void make_https_redirect(Reply& reply, const RequestHead& head, uint16_t public_port) {
  if (head.host.empty()) {
    reply = error_reply(400);
    return;
  }
  char port[8] = ":";
  const char* port_end = public_port == 443 ? port : std::to_chars(port + 1, port + sizeof port, public_port).ptr;
  make_redirect(reply, head.method == "GET" || head.method == "HEAD" ? 301 : 308,
                {"https://", head.host, std::string_view(port, static_cast<size_t>(port_end - port)),
                 head.target.starts_with('/') ? head.target : std::string_view()});
}

}  // namespace sallyport::http
