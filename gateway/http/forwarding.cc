#include "http/forwarding.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "http/h1_writer.h"

namespace sallyport::http {
namespace {

bool is_forwarding(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::forwarded:
    case HeaderId::x_forwarded_for:
    case HeaderId::x_forwarded_host:
    case HeaderId::x_forwarded_port:
    case HeaderId::x_forwarded_proto:
    case HeaderId::x_real_ip: return true;
    default: return false;
  }
}

bool is_hop_by_hop(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_connection:
    case HeaderId::transfer_encoding:
    case HeaderId::http2_settings: return true;
    default: return false;
  }
}

// What a Connection option may not take away: what this gateway says itself, and what it decides on by other rules.
bool is_protected(HeaderId id) noexcept {
  return is_forwarding(id) || is_hop_by_hop(id) || id == HeaderId::host || id == HeaderId::content_length ||
         id == HeaderId::te || id == HeaderId::upgrade || id == HeaderId::trailer;
}

void remove_named(HeaderList& fields) {
  fields.for_each([&](const Header& field, HeaderId id) {
    if (id != HeaderId::connection) return;
    for_each_element(field.value, [&](std::string_view option) {
      if (equal_ignoring_case(option, "close") || is_protected(header_id(option))) return;
      fields.remove(option);
    });
  });
}

bool has_element(std::string_view list, std::string_view wanted) {
  bool found = false;
  for_each_element(list, [&](std::string_view element) { found = found || equal_ignoring_case(element, wanted); });
  return found;
}

// CGI, WSGI and their like read "X_Forwarded_For" as X-Forwarded-For, and so on: an alias of a field that this gateway
// sets, removes or frames by would pass by all of that.
bool is_alias(std::string_view name) {
  if (name.find('_') == std::string_view::npos || name.size() > 24) return false;
  char dashed[24];
  std::replace_copy(name.begin(), name.end(), dashed, '_', '-');
  const HeaderId id = header_id({dashed, name.size()});
  return is_forwarding(id) || is_hop_by_hop(id) || id == HeaderId::content_length ||
         id == HeaderId::proxy_authorization;
}

void set_forwarded_for(HeaderList& fields, std::string_view ip, bool extend) {
  thread_local std::string list;
  list.clear();
  if (extend)
    fields.for_each([&](const Header& field, HeaderId id) {
      if (id != HeaderId::x_forwarded_for || field.value.empty()) return;
      if (!list.empty()) list += ", ";
      list += field.value;
    });
  fields.remove(HeaderId::x_forwarded_for);
  if (list.empty()) {
    fields.add("X-Forwarded-For", ip);
    return;
  }
  list.append(", ").append(ip);
  fields.add("X-Forwarded-For", list);
}

std::string_view port_text(uint16_t port, char (&digits)[5]) noexcept {
  return {digits, static_cast<size_t>(std::to_chars(digits, digits + 5, port).ptr - digits)};
}

void add_unless_kept(HeaderList& fields, bool keep, HeaderId id, std::string_view name, std::string_view value) {
  if (keep && fields.find(id)) return;
  if (!value.empty()) fields.add(name, value);
}

}  // namespace

void forward_request(RequestHead& head, const ForwardedFor& from, bool upgrade) {
  HeaderList& fields = head.fields;
  remove_named(fields);
  bool trailers = false;
  fields.remove_if([&](const Header& field, HeaderId id) {
    switch (id) {
      case HeaderId::other: return is_alias(field.name);
      case HeaderId::proxy_authenticate:
      case HeaderId::proxy_authorization:
      case HeaderId::forwarded: return true;
      case HeaderId::upgrade: return !upgrade;
      case HeaderId::te: trailers = trailers || has_element(field.value, "trailers"); return true;
      // X-Forwarded-For goes when it has been read.
      case HeaderId::x_forwarded_host:
      case HeaderId::x_forwarded_port:
      case HeaderId::x_forwarded_proto:
      case HeaderId::x_real_ip: return !from.peer_trusted;
      default: return is_hop_by_hop(id);
    }
  });
  if (trailers) fields.add("TE", "trailers");

  char ip[112];
  const std::string_view peer(ip, from.peer.is_ip() ? from.peer.write_ip(ip) : 0);
  const bool keep = from.peer_trusted;
  if (!peer.empty())
    set_forwarded_for(fields, peer, keep);
  else if (!keep)
    fields.remove(HeaderId::x_forwarded_for);
  char digits[5];
  std::string_view port = from.port == 0 ? std::string_view{} : port_text(from.port, digits);
  // A trusted proxy that tells the scheme and no port: our own port would contradict it.
  if (keep)
    if (const auto proto = fields.find(HeaderId::x_forwarded_proto))
      port = equal_ignoring_case(*proto, "https") || equal_ignoring_case(*proto, "wss") ? "443" : "80";
  add_unless_kept(fields, keep, HeaderId::x_forwarded_proto, "X-Forwarded-Proto", from.tls ? "https" : "http");
  add_unless_kept(fields, keep, HeaderId::x_forwarded_host, "X-Forwarded-Host", head.authority);
  add_unless_kept(fields, keep, HeaderId::x_forwarded_port, "X-Forwarded-Port", port);
  add_unless_kept(fields, keep, HeaderId::x_real_ip, "X-Real-IP",
                  from.client.empty() ? std::string(peer) : from.client.ip_text());
}

void forward_response(ResponseHead& head, bool upgrade) {
  HeaderList& fields = head.fields;
  remove_named(fields);
  fields.remove_if([&](const Header&, HeaderId id) {
    switch (id) {
      case HeaderId::proxy_authenticate: return head.status != 407;
      case HeaderId::te: return true;
      case HeaderId::upgrade: return !upgrade && head.status != 426;
      default: return is_hop_by_hop(id);
    }
  });
  // RFC 9110 section 6.6.1: who forwards a response without a Date adds one.
  if (head.status >= 200 && !fields.find(HeaderId::date)) fields.add("Date", http_date());
}

namespace {

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711".
Address parse_node(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  const size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  const bool has_port =
      colon != std::string_view::npos && (bracketed ? colon > 0 && text[colon - 1] == ']' : text.find(':') == colon);
  if (has_port) {
    const auto port = parse_number(text.substr(colon + 1));
    if (!port || *port > 65535) return {};
    text = text.substr(0, colon);
  }
  Result<Address> address = Address::parse_ip(text, 0);
  return address ? address->unmapped() : Address{};
}

// The for= of one element of Forwarded (RFC 7239); empty if it has none.
std::string_view for_parameter(std::string_view element) noexcept {
  while (!element.empty()) {
    const size_t end = element.find(';');
    const std::string_view pair = trim(element.substr(0, end));
    if (pair.size() > 4 && equal_ignoring_case(pair.substr(0, 4), "for=")) return pair.substr(4);
    if (end == std::string_view::npos) break;
    element.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

Address client_address(const HeaderList& fields, const Address& peer, std::span<const Network> trusted) {
  const auto is_trusted = [&](const Address& address) {
    return std::any_of(trusted.begin(), trusted.end(), [&](const Network& n) { return n.contains(address); });
  };
  if (!is_trusted(peer)) return peer;
  // Elements are met from the left, so the last one that is not a trusted address decides; one that is no address at
  // all hides whatever stands left of it.
  Address client = peer;
  const auto meet = [&](std::string_view node) {
    const Address address = parse_node(node);
    if (address.empty())
      client = peer;
    else if (!is_trusted(address))
      client = address;
  };
  const bool plain = fields.find(HeaderId::x_forwarded_for).has_value();
  fields.for_each([&](const Header& field, HeaderId id) {
    if (plain && id == HeaderId::x_forwarded_for)
      for_each_element(field.value, meet);
    else if (!plain && id == HeaderId::forwarded)
      for_each_element(field.value, [&](std::string_view element) { meet(for_parameter(element)); });
  });
  return client;
}

}  // namespace sallyport::http
