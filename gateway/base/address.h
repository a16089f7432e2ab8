// Socket addresses and networks: what a user writes, what the kernel takes, what a log shows.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport {

// An IPv4, IPv6 or unix address, or none. A plain value of 112 bytes; compares by family, address and port.
class Address {
 public:
  Address() noexcept = default;
  static Address from(const sockaddr* sa, socklen_t length) noexcept;
  // "192.0.2.1:443", "[2001:db8::1]:443", "unix:/path". Numeric only; no names.
  static Result<Address> parse(std::string_view text);
  // "192.0.2.1", "2001:db8::1" (brackets allowed), with the port given.
  static Result<Address> parse_ip(std::string_view ip, uint16_t port);
  static Address any_v6(uint16_t port) noexcept;
  static Address any_v4(uint16_t port) noexcept;

  bool empty() const noexcept { return length_ == 0; }
  int family() const noexcept;  // AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC
  bool is_ip() const noexcept { return family() == AF_INET || family() == AF_INET6; }
  uint16_t port() const noexcept;
  Address with_port(uint16_t port) const noexcept;
  // The address alone, in network order: 4 or 16 bytes; empty for unix. An IPv4-mapped IPv6 address gives 4 bytes.
  std::string_view ip_bytes() const noexcept;
  // IPv4-mapped IPv6 becomes IPv4, as every log, header and access rule wants it.
  Address unmapped() const noexcept;
  bool is_loopback() const noexcept;
  bool is_any() const noexcept;

  const sockaddr* sa() const noexcept { return reinterpret_cast<const sockaddr*>(storage_.data()); }
  socklen_t length() const noexcept { return length_; }

  std::string ip_text() const;  // "192.0.2.1", "2001:db8::1", "/path"
  std::string text() const;     // with the port, as parse() takes it
  // As ip_text, into the caller's buffer (at least 112 bytes); returns the length. No allocation.
  size_t write_ip(char* out) const noexcept;

  friend bool operator==(const Address& a, const Address& b) noexcept;

 private:
  alignas(8) std::array<unsigned char, 108 + sizeof(sa_family_t)> storage_{};  // fits sockaddr_un
  uint16_t length_ = 0;
};

// "10.0.0.0/8", "2001:db8::/32", or a single address.
class Network {
 public:
  static Result<Network> parse(std::string_view text);
  bool contains(const Address& address) const noexcept;
  std::string text() const;
  friend bool operator==(const Network&, const Network&) noexcept = default;

 private:
  std::array<uint8_t, 16> bytes_{};
  uint8_t size_ = 0;    // 4 or 16
  uint8_t prefix_ = 0;  // bits
};

}  // namespace sallyport
