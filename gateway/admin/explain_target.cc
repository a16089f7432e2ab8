#include "admin/explain_target.h"

#include <algorithm>
#include <array>

#include "base/address.h"
#include "base/format.h"
#include "base/host.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Sends = ExplainTarget::Sends;

struct Scheme {
  std::string_view name;
  Sends sends;
  uint16_t port;
};
constexpr std::array kSchemes = {
    Scheme{"https", Sends::https, 443}, Scheme{"wss", Sends::https, 443},       Scheme{"http", Sends::http, 80},
    Scheme{"ws", Sends::http, 80},      Scheme{"ssh", Sends::ssh, 22},          Scheme{"tls", Sends::tls, 443},
    Scheme{"imaps", Sends::tls, 993},   Scheme{"smtps", Sends::tls, 465},       Scheme{"pop3s", Sends::tls, 995},
    Scheme{"ldaps", Sends::tls, 636},   Scheme{"mqtts", Sends::tls, 8883},      Scheme{"tcp", Sends::other, 0},
    Scheme{"imap", Sends::other, 143},  Scheme{"smtp", Sends::other, 25},       Scheme{"ldap", Sends::other, 389},
    Scheme{"mqtt", Sends::other, 1883}, Scheme{"postgres", Sends::other, 5432}, Scheme{"mysql", Sends::other, 3306},
    Scheme{"redis", Sends::other, 6379}};

Error bad(std::string_view text, std::string_view why) {
  return Error{
      Kind::config, Side::client, Retry::no, 0, "", format("\"{}\" is no target: {}", escaped(text, 200), why)};
}

bool is_path_char(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f;
}

struct Authority {
  std::string_view host;
  std::string_view port;  // empty: none
  bool bracketed = false;
  bool good = false;
};

Authority split(std::string_view text) {
  Authority out;
  if (const size_t user = text.rfind('@'); user != std::string_view::npos) text.remove_prefix(user + 1);
  size_t end = text.rfind(':');
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return out;
    out.bracketed = true;
    out.host = text.substr(1, close - 1);
    end = close + 1;
    if (end < text.size() && text[end] != ':') return out;
  } else if (end != std::string_view::npos && text.find(':') != end) {
    out.bracketed = true;  // an IPv6 address alone
    out.host = text;
    end = text.size();
  } else {
    out.host = text.substr(0, end);
  }
  if (end < text.size()) {
    out.port = text.substr(end + 1);
    if (out.port.empty()) return out;
  }
  out.good = !out.host.empty();
  return out;
}

}  // namespace

Result<ExplainTarget> parse_explain_target(std::string_view text) {
  ExplainTarget out;
  std::string_view rest = text;
  bool scheme_written = false;
  if (const size_t colon = text.find("://"); colon != std::string_view::npos) {
    const std::string name = to_lower(text.substr(0, colon));
    const auto* scheme =
        std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme& s) { return s.name == name; });
    if (scheme == kSchemes.end())
      return bad(text, "its scheme is not known; https, http, wss, ws, ssh, tls and tcp are");
    out.sends = scheme->sends;
    out.port = scheme->port;
    rest.remove_prefix(colon + 3);
    scheme_written = true;
  }
  rest = rest.substr(0, rest.find('#'));
  const size_t slash = rest.find_first_of("/?");
  out.request = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (out.request.starts_with('?')) out.request.insert(0, 1, '/');
  if (!std::all_of(out.request.begin(), out.request.end(), is_path_char))
    return bad(text, "a path holds visible ASCII characters; write others as %XX");
  const Authority authority = split(rest.substr(0, slash));
  if (!authority.good) return bad(text, "expected a URL such as https://cloud.example.tld/login, or HOST:PORT");
  if (auto ip = Address::parse_ip(authority.host, 0); ip) {
    out.is_ip = true;
    out.host = ip->family() == AF_INET6 ? "[" + ip->ip_text() + "]" : ip->ip_text();
  } else if (!authority.bracketed && is_host_name(authority.host)) {
    out.host = to_lower(authority.host);
    if (out.host.ends_with('.')) out.host.pop_back();
  } else {
    return bad(text, "its host is no name and no address");
  }
  if (!authority.port.empty()) {
    const auto port = parse_number(authority.port);
    if (!port || *port == 0 || *port > 65535) return bad(text, "a port is a number from 1 to 65535");
    out.port = static_cast<uint16_t>(*port);
    if (!scheme_written)
      out.sends = slash == std::string_view::npos ? Sends::not_told : out.port == 80 ? Sends::http : Sends::https;
  }
  if (out.port == 0) return bad(text, "which port?");
  return out;
}

}  // namespace sallyport
