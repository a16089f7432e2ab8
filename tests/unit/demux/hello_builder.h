// ClientHello messages made to measure, sound or not, as bytes in a string.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::test {

inline std::string number(size_t value, size_t width) {
  std::string out;
  for (size_t byte = width; byte > 0; --byte) out.push_back(static_cast<char>(value >> (8 * (byte - 1)) & 0xff));
  return out;
}

// The data with its length in front.
inline std::string sized(std::string_view data, size_t width) { return number(data.size(), width) + std::string(data); }

inline std::string record(std::string_view payload, uint8_t type = 22, uint16_t version = 0x0301) {
  return number(type, 1) + number(version, 2) + sized(payload, 2);
}

// The message in records of this size, the last one smaller.
inline std::string in_records(std::string_view message, size_t size) {
  std::string out;
  for (; !message.empty(); message.remove_prefix(std::min(size, message.size())))
    out += record(message.substr(0, size));
  return out;
}

inline std::string sni_entry(std::string_view name, uint8_t type = 0) { return number(type, 1) + sized(name, 2); }
inline std::string extension(uint16_t type, std::string_view data) { return number(type, 2) + sized(data, 2); }

struct HelloBuilder {
  uint16_t version = 0x0303;
  std::string session_id = std::string(32, 's');
  std::string ciphers = "\x13\x01\x13\x02";
  std::string compressions = std::string(1, '\0');
  std::string extensions;
  bool has_extensions = true;

  HelloBuilder& add(uint16_t type, std::string_view data) {
    extensions += extension(type, data);
    return *this;
  }
  HelloBuilder& sni(std::string_view name) { return add(0, sized(sni_entry(name), 2)); }
  HelloBuilder& alpn(const std::vector<std::string>& protocols) {
    std::string list;
    for (const auto& protocol : protocols) list += sized(protocol, 1);
    return add(16, sized(list, 2));
  }
  HelloBuilder& versions(const std::vector<uint16_t>& offered) {
    std::string list;
    for (uint16_t one : offered) list += number(one, 2);
    return add(43, sized(list, 1));
  }
  HelloBuilder& key_shares(const std::vector<std::pair<uint16_t, size_t>>& groups) {
    std::string list;
    for (auto [group, size] : groups) list += number(group, 2) + sized(std::string(size, 'k'), 2);
    return add(51, sized(list, 2));
  }
  // Fills the message up to this size, its header included.
  HelloBuilder& pad_to(size_t size) { return add(21, std::string(size - message().size() - 4, '\0')); }

  std::string body() const {
    std::string out =
        number(version, 2) + std::string(32, 'r') + sized(session_id, 1) + sized(ciphers, 2) + sized(compressions, 1);
    return has_extensions ? out + sized(extensions, 2) : out;
  }
  std::string message() const { return number(1, 1) + sized(body(), 3); }
  std::string wire() const { return in_records(message(), 16384); }
};

// Chrome's shape: GREASE in every list that allows it, a post-quantum key share, a hello-shaped ECH extension.
inline HelloBuilder browser(std::string_view name) {
  HelloBuilder hello;
  hello.ciphers = "\x3a\x3a\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f";
  hello.add(0x4a4a, "");
  hello.add(5, std::string("\1\0\0\0\0", 5)).add(23, "").add(35, "");
  hello.alpn({"\x5a\x5a", "h2", "http/1.1"});
  hello.add(0xfe0d, std::string(186, 'e'));
  hello.key_shares({{0xdada, 1}, {0x11ec, 1216}, {0x001d, 32}});
  hello.versions({0xfafa, 0x0304, 0x0303});
  hello.add(10, std::string("\0\x08\xda\xda\x11\xec\0\x1d\0\x17", 10));
  hello.sni(name);
  hello.add(0x7a7a, std::string(1, '\0'));
  return hello;
}

}  // namespace sallyport::test
