#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

Error bad(const char* what, std::string_view text) {
  return Error{Kind::config, Side::internal, Retry::no, 0, what, std::string(text)};
}

template <class T>
T load(const unsigned char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

Address Address::from(const sockaddr* sa, socklen_t length) noexcept {
  Address out;
  if (sa == nullptr || length < sizeof(sa_family_t) || length > out.storage_.size()) return out;
  std::memcpy(out.storage_.data(), sa, length);
  out.length_ = static_cast<uint16_t>(length);
  return out;
}

Result<Address> Address::parse_ip(std::string_view ip, uint16_t port) {
  if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
  // inet_pton ends at a zero byte, and would not see what stands behind it.
  if (ip.find('\0') != std::string_view::npos) return bad("not an IP address", ip);
  std::string text(ip);
  if (text.find('\0') != std::string::npos) return bad("not an IP address", ip);  // inet_pton would stop there
  sockaddr_in v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return from(reinterpret_cast<sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return from(reinterpret_cast<sockaddr*>(&v6), sizeof v6);
  }
  return bad("not an IP address", ip);
}

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with("unix:")) {
    std::string_view path = text.substr(5);
    sockaddr_un un{};
    if (path.empty() || path.size() >= sizeof un.sun_path) return bad("not a usable unix socket path", text);
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.data(), path.size());
    return from(reinterpret_cast<sockaddr*>(&un),
                static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
  }
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("no port", text);
  auto port = parse_number(text.substr(colon + 1));
  if (!port || *port > 65535) return bad("not a port", text);
  std::string_view host = text.substr(0, colon);
  if (host.find(':') != std::string_view::npos && (host.front() != '[' || host.back() != ']'))
    return bad("an IPv6 address needs brackets", text);
  return parse_ip(host, static_cast<uint16_t>(*port));
}

Address Address::any_v6(uint16_t port) noexcept {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  return from(reinterpret_cast<sockaddr*>(&v6), sizeof v6);
}

Address Address::any_v4(uint16_t port) noexcept {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  return from(reinterpret_cast<sockaddr*>(&v4), sizeof v4);
}

int Address::family() const noexcept { return empty() ? AF_UNSPEC : sa()->sa_family; }

uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(load<sockaddr_in>(storage_.data()).sin_port);
  if (family() == AF_INET6) return ntohs(load<sockaddr_in6>(storage_.data()).sin6_port);
  return 0;
}

Address Address::with_port(uint16_t port) const noexcept {
  Address out = *this;
  uint16_t network = htons(port);
  if (family() == AF_INET) std::memcpy(out.storage_.data() + offsetof(sockaddr_in, sin_port), &network, 2);
  if (family() == AF_INET6) std::memcpy(out.storage_.data() + offsetof(sockaddr_in6, sin6_port), &network, 2);
  return out;
}

std::string_view Address::ip_bytes() const noexcept {
  const char* data = reinterpret_cast<const char*>(storage_.data());
  if (family() == AF_INET) return {data + offsetof(sockaddr_in, sin_addr), 4};
  if (family() != AF_INET6) return {};
  data += offsetof(sockaddr_in6, sin6_addr);
  constexpr char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xff', '\xff'};
  if (std::memcmp(data, kMapped, sizeof kMapped) == 0) return {data + 12, 4};
  return {data, 16};
}

Address Address::unmapped() const noexcept {
  if (family() != AF_INET6) return *this;
  std::string_view ip = ip_bytes();
  if (ip.size() != 4) return *this;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port());
  std::memcpy(&v4.sin_addr, ip.data(), 4);
  return from(reinterpret_cast<sockaddr*>(&v4), sizeof v4);
}

bool Address::is_loopback() const noexcept {
  std::string_view ip = ip_bytes();
  if (ip.size() == 4) return ip[0] == 127;
  if (ip.size() != 16) return family() == AF_UNIX;
  in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
  return std::memcmp(ip.data(), &loopback, 16) == 0;
}

bool Address::is_any() const noexcept {
  std::string_view ip = ip_bytes();
  return !ip.empty() && ip.find_first_not_of('\0') == std::string_view::npos;
}

size_t Address::write_ip(char* out) const noexcept {
  std::string_view ip = ip_bytes();
  if (ip.size() == 4) {
    // Not inet_ntop(3): that is printf inside, and each request has its client's address written down.
    char* at = out;
    for (char part : ip) {
      if (at != out) *at++ = '.';
      const unsigned value = static_cast<unsigned char>(part);
      if (value >= 100) *at++ = static_cast<char>('0' + value / 100);
      if (value >= 10) *at++ = static_cast<char>('0' + value / 10 % 10);
      *at++ = static_cast<char>('0' + value % 10);
    }
    return static_cast<size_t>(at - out);
  }
  if (!ip.empty()) {
    if (inet_ntop(AF_INET6, ip.data(), out, INET6_ADDRSTRLEN) == nullptr) return 0;
    return std::strlen(out);
  }
  if (family() != AF_UNIX || length_ <= offsetof(sockaddr_un, sun_path)) return 0;
  const char* path = reinterpret_cast<const char*>(storage_.data()) + offsetof(sockaddr_un, sun_path);
  size_t length = strnlen(path, length_ - offsetof(sockaddr_un, sun_path));
  std::memcpy(out, path, length);
  return length;
}

std::string Address::ip_text() const {
  char buffer[112];
  return {buffer, write_ip(buffer)};
}

std::string Address::text() const {
  switch (family()) {
    case AF_UNIX: return "unix:" + ip_text();
    case AF_INET: return format("{}:{}", ip_text(), port());
    case AF_INET6:
      return ip_bytes().size() == 4 ? format("{}:{}", ip_text(), port()) : format("[{}]:{}", ip_text(), port());
    default: return "";
  }
}

bool operator==(const Address& a, const Address& b) noexcept {
  if (a.family() != b.family()) return false;
  if (a.is_ip()) return a.ip_bytes() == b.ip_bytes() && a.port() == b.port();
  return a.length_ == b.length_ && std::memcmp(a.storage_.data(), b.storage_.data(), a.length_) == 0;
}

Result<Network> Network::parse(std::string_view text) {
  size_t slash = text.find('/');
  auto address = Address::parse_ip(text.substr(0, slash), 0);
  if (!address) return address.error();
  std::string_view ip = address->ip_bytes();
  Network out;
  out.size_ = static_cast<uint8_t>(ip.size());
  out.prefix_ = static_cast<uint8_t>(ip.size() * 8);
  std::memcpy(out.bytes_.data(), ip.data(), ip.size());
  if (slash == std::string_view::npos) return out;
  auto prefix = parse_number(text.substr(slash + 1));
  if (!prefix || *prefix > out.prefix_) return bad("not a network prefix length", text);
  out.prefix_ = static_cast<uint8_t>(*prefix);
  for (size_t bit = out.prefix_; bit < ip.size() * 8; ++bit)
    out.bytes_[bit / 8] = static_cast<uint8_t>(out.bytes_[bit / 8] & ~(0x80u >> (bit % 8)));
  return out;
}

bool Network::contains(const Address& address) const noexcept {
  std::string_view ip = address.ip_bytes();
  if (ip.size() != size_) return false;
  size_t whole = prefix_ / 8;
  if (std::memcmp(ip.data(), bytes_.data(), whole) != 0) return false;
  unsigned rest = prefix_ % 8;
  if (rest == 0) return true;
  auto mask = static_cast<uint8_t>(0xff00u >> rest);
  return (static_cast<uint8_t>(ip[whole]) & mask) == bytes_[whole];
}

std::string Network::text() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(size_ == 4 ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return format("{}/{}", buffer, prefix_);
}

}  // namespace sallyport
