#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <iterator>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kV1Start = "PROXY "sv;
constexpr size_t kV1Most = 107;  // with CRLF
constexpr auto kV2Signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t kV2Fixed = 16;
constexpr size_t kV2Most = 4096;  // after the fixed part

constexpr uint8_t kLocal = 0x20;  // version 2 in the upper half
constexpr uint8_t kProxy = 0x21;
constexpr uint8_t kUnspecified = 0x00;
constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr uint8_t kUnixStream = 0x31;

constexpr uint8_t kAlpn = 0x01;
constexpr uint8_t kAuthority = 0x02;
constexpr uint8_t kCrc32c = 0x03;
constexpr uint8_t kUniqueId = 0x05;
constexpr uint8_t kSsl = 0x20;
constexpr uint8_t kSslVersion = 0x21;  // within kSsl
constexpr size_t kSslFixed = 5;
constexpr uint8_t kClientSsl = 0x01;
constexpr size_t kMaxUniqueId = 128;
constexpr size_t kMaxWritten = 255;  // of a TLV we write: no ALPN name is longer, no host name either

// A text or null: nothing is wrong.
using Fault = const char*;

std::string_view next_word(std::string_view& rest) noexcept {
  size_t space = rest.find(' ');
  std::string_view word = rest.substr(0, space);
  rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
  return word;
}

// inet_pton stops at a NUL, which a peer may well send: only the characters of an address get that far. It refuses
// numbers over 255 and leading zeros itself.
Address ip_of(std::string_view text, int family, uint16_t port) noexcept {
  char copy[INET6_ADDRSTRLEN];
  constexpr auto kAllowed = "0123456789.:abcdefABCDEF"sv;
  if (text.size() >= sizeof copy || text.find_first_not_of(kAllowed) != std::string_view::npos) return {};
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  if (family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (inet_pton(AF_INET, copy, &v4.sin_addr) != 1) return {};
    return Address::from(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (inet_pton(AF_INET6, copy, &v6.sin6_addr) != 1) return {};
  return Address::from(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

Address ip_of(const uint8_t* bytes, int family, uint16_t port) noexcept {
  if (family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes, sizeof v4.sin_addr);
    return Address::from(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, bytes, sizeof v6.sin6_addr);
  return Address::from(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

std::optional<uint16_t> port_of(std::string_view text) noexcept {
  if (text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  auto number = parse_number(text);
  if (!number || *number > 65535) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

uint16_t u16_at(Bytes bytes, size_t at) noexcept { return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]); }

// No connection has an IPv4 end and an IPv6 end, however the addresses were written.
Fault set_addresses(Address source, Address destination, ProxyHeader& out) noexcept {
  out.source = source.unmapped();
  out.destination = destination.unmapped();
  return out.source.family() == out.destination.family() ? nullptr : "source and destination of different families";
}

// The line without "PROXY " and CRLF.
Fault read_v1(std::string_view line, ProxyHeader& out) noexcept {
  std::string_view protocol = next_word(line);
  if (protocol == "UNKNOWN") {  // whatever follows it counts for nothing
    out.local = true;
    return nullptr;
  }
  int family = protocol == "TCP4" ? AF_INET : protocol == "TCP6" ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC) return "PROXY v1: not TCP4, TCP6 or UNKNOWN";
  std::string_view source_text = next_word(line);
  std::string_view destination_text = next_word(line);
  auto source_port = port_of(next_word(line));
  auto destination_port = port_of(line);  // the rest: a word too many is no port
  if (!source_port || !destination_port) return "PROXY v1: not a port";
  Address source = ip_of(source_text, family, *source_port);
  Address destination = ip_of(destination_text, family, *destination_port);
  if (source.empty() || destination.empty()) return "PROXY v1: not an address of its family";
  return set_addresses(source, destination, out);
}

ProxyParse parse_v1(std::string_view seen, ProxyHeader& out, size_t& consumed, Fault& fault) noexcept {
  std::string_view line = seen.substr(0, kV1Most);
  size_t end = line.find_first_of("\r\n");
  bool may_come = end == std::string_view::npos || line.substr(end) == "\r";
  if (may_come && line.size() < kV1Most) return ProxyParse::need_more;
  if (may_come || line.substr(end, 2) != "\r\n") {
    fault = may_come ? "PROXY v1: no CRLF within 107 bytes" : "PROXY v1: CR or LF alone";
    return ProxyParse::malformed;
  }
  fault = read_v1(line.substr(kV1Start.size(), end - kV1Start.size()), out);
  if (fault != nullptr) return ProxyParse::malformed;
  consumed = end + 2;
  return ProxyParse::done;
}

constexpr std::array<uint32_t, 256> crc32c_table() noexcept {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0u);  // Castagnoli, reflected
    table[i] = value;
  }
  return table;
}

// Of a header whose checksum stands at `field`: its four bytes count as zero.
uint32_t header_crc32c(Bytes header, size_t field) noexcept {
  static constexpr auto kTable = crc32c_table();
  uint32_t crc = ~0u;
  for (size_t i = 0; i < header.size(); ++i) {
    uint8_t byte = i >= field && i < field + 4 ? uint8_t{0} : header[i];
    crc = kTable[(crc ^ byte) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

// Calls each(type, value, where the value begins) until it gives a fault.
template <class Each>
Fault for_each_tlv(Bytes bytes, size_t at, Each&& each) {
  while (at < bytes.size()) {
    if (bytes.size() - at < 3) return "PROXY v2: a cut TLV";
    uint8_t type = bytes[at];
    size_t length = u16_at(bytes, at + 1);
    at += 3;
    if (length > bytes.size() - at) return "PROXY v2: a TLV longer than its header";
    if (Fault fault = each(type, bytes.subspan(at, length), at); fault != nullptr) return fault;
    at += length;
  }
  return nullptr;
}

Fault read_ssl(Bytes value, ProxyHeader& out) noexcept {
  if (value.size() < kSslFixed) return "PROXY v2: a cut SSL TLV";
  out.ssl = (value[0] & kClientSsl) != 0;
  return for_each_tlv(value, kSslFixed, [](uint8_t, Bytes, size_t) { return Fault{}; });
}

Fault read_tlvs(Bytes header, size_t at, ProxyHeader& out) {
  uint64_t met = 0;  // the types below 64 that are read here
  return for_each_tlv(header, at, [&](uint8_t type, Bytes value, size_t where) -> Fault {
    switch (type) {
      case kAlpn: out.alpn = as_text(value); break;
      case kAuthority: out.authority = as_text(value); break;
      case kUniqueId:
        if (value.size() > kMaxUniqueId) return "PROXY v2: a unique id over 128 bytes";
        out.unique_id = as_text(value);
        break;
      case kSsl:
        if (Fault fault = read_ssl(value, out); fault != nullptr) return fault;
        break;
      case kCrc32c: {
        if (value.size() != 4) return "PROXY v2: a CRC32C that has not 4 bytes";
        uint32_t sent = uint32_t{u16_at(value, 0)} << 16 | u16_at(value, 2);
        if (sent != header_crc32c(header, where)) return "PROXY v2: a wrong CRC32C";
        break;
      }
      default: return nullptr;  // NOOP, NETNS, and what others may invent
    }
    if ((met >> type & 1) != 0) return "PROXY v2: a TLV twice";
    met |= uint64_t{1} << type;
    return nullptr;
  });
}

// header: the whole of it, checked to be there.
Fault read_v2(Bytes header, ProxyHeader& out) {
  if (header[12] == kLocal) {  // everything after it is to be ignored
    out.local = true;
    return nullptr;
  }
  size_t addresses = 0;
  int family = AF_UNSPEC;
  switch (header[13]) {
    case kUnspecified: break;
    case kUnixStream: addresses = 216; break;
    case kTcp4: addresses = 12, family = AF_INET; break;
    default: addresses = 36, family = AF_INET6; break;
  }
  if (header.size() < kV2Fixed + addresses) return "PROXY v2: shorter than its addresses";
  if (family == AF_UNSPEC) {
    out.local = true;
  } else {
    size_t ip = family == AF_INET ? 4 : 16;
    const uint8_t* at = header.data() + kV2Fixed;
    size_t ports = kV2Fixed + 2 * ip;
    Fault fault =
        set_addresses(ip_of(at, family, u16_at(header, ports)), ip_of(at + ip, family, u16_at(header, ports + 2)), out);
    if (fault != nullptr) return fault;
  }
  return read_tlvs(header, kV2Fixed + addresses, out);
}

// What of the fixed part can already be seen to be wrong.
Fault check_v2_start(Bytes seen) noexcept {
  if (seen.size() > 12 && seen[12] != kLocal && seen[12] != kProxy) return "PROXY v2: not version 2, LOCAL or PROXY";
  if (seen.size() > 13 && seen[12] == kProxy) {
    uint8_t family = seen[13];
    if (family != kUnspecified && family != kTcp4 && family != kTcp6 && family != kUnixStream)
      return "PROXY v2: neither TCP nor a unix stream";
  }
  if (seen.size() >= kV2Fixed && u16_at(seen, 14) > kV2Most) return "PROXY v2: over 4 KiB";
  return nullptr;
}

ProxyParse parse_v2(Bytes seen, ProxyHeader& out, size_t& consumed, Fault& fault) {
  fault = check_v2_start(seen);
  if (fault == nullptr) {
    if (seen.size() < kV2Fixed) return ProxyParse::need_more;
    size_t length = kV2Fixed + u16_at(seen, 14);
    if (seen.size() < length) return ProxyParse::need_more;
    fault = read_v2(seen.first(length), out);
    consumed = length;
  }
  return fault == nullptr ? ProxyParse::done : ProxyParse::malformed;
}

void append_number(std::string& out, size_t value, size_t width) {
  for (size_t byte = width; byte > 0; --byte) out.push_back(static_cast<char>(value >> (8 * (byte - 1)) & 0xff));
}

void append_tlv(std::string& out, uint8_t type, std::string_view value) {
  if (value.empty() || value.size() > kMaxWritten) return;
  out.push_back(static_cast<char>(type));
  append_number(out, value.size(), 2);
  out += value;
}

}  // namespace

ProxyParse parse_proxy_header(Bytes bytes, ProxyHeader& out, size_t& consumed, const char** why) {
  std::string_view seen = as_text(bytes);
  ProxyHeader header;
  size_t length = 0;
  Fault fault = nullptr;
  ProxyParse parse = ProxyParse::malformed;
  if (seen.starts_with(kV1Start))
    parse = parse_v1(seen, header, length, fault);
  else if (seen.starts_with(kV2Signature))
    parse = parse_v2(bytes, header, length, fault);
  else if (kV1Start.starts_with(seen) || kV2Signature.starts_with(seen))
    parse = ProxyParse::need_more;
  else
    fault = "no PROXY header";

  if (parse == ProxyParse::done) {
    out = std::move(header);
    consumed = length;
  } else if (parse == ProxyParse::malformed && why != nullptr) {
    *why = fault;
  }
  return parse;
}

void append_proxy_v1(std::string& out, const Address& client, const Address& local) {
  Address source = client.unmapped();
  Address destination = local.unmapped();
  if (!source.is_ip() || source.family() != destination.family()) {
    out += "PROXY UNKNOWN\r\n";
    return;
  }
  char ip[112];
  out += source.family() == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ";
  out.append(ip, source.write_ip(ip));
  out.push_back(' ');
  out.append(ip, destination.write_ip(ip));
  format_to(std::back_inserter(out), " {} {}\r\n", source.port(), destination.port());
}

void append_proxy_v2(std::string& out, const Address& client, const Address& local, const ProxyTlvs& tlvs) {
  Address source = client.unmapped();
  Address destination = local.unmapped();
  bool known = source.is_ip() && source.family() == destination.family();
  size_t start = out.size();
  out += kV2Signature;
  out.push_back(static_cast<char>(kProxy));
  out.push_back(static_cast<char>(!known ? kUnspecified : source.family() == AF_INET ? kTcp4 : kTcp6));
  append_number(out, 0, 2);  // the length, once it is known
  if (known) {
    out += source.ip_bytes();
    out += destination.ip_bytes();
    append_number(out, source.port(), 2);
    append_number(out, destination.port(), 2);
  }
  append_tlv(out, kAlpn, tlvs.alpn);
  append_tlv(out, kAuthority, tlvs.authority);
  if (tlvs.ssl) {
    bool version = !tlvs.tls_version.empty() && tlvs.tls_version.size() <= kMaxWritten;
    out.push_back(static_cast<char>(kSsl));
    append_number(out, kSslFixed + (version ? 3 + tlvs.tls_version.size() : 0), 2);
    out.push_back(static_cast<char>(kClientSsl));
    append_number(out, 1, 4);  // not zero: no client certificate was verified
    if (version) append_tlv(out, kSslVersion, tlvs.tls_version);
  }
  size_t length = out.size() - start - kV2Fixed;
  out[start + 14] = static_cast<char>(length >> 8);
  out[start + 15] = static_cast<char>(length & 0xff);
}

void append_proxy_v2_local(std::string& out) {
  out += kV2Signature;
  out.push_back(static_cast<char>(kLocal));
  out.push_back(static_cast<char>(kUnspecified));
  append_number(out, 0, 2);
}

}  // namespace sallyport
