#include "net/proxy_header.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "catch.h"

using namespace sallyport;
using std::string_literals::operator""s;

namespace {

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kTcp4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xd9\x03\x01\xbb"s;  // 192.0.2.1:55555, 198.51.100.2:443

Address ip(std::string_view text, uint16_t port) { return *Address::parse_ip(text, port); }

std::string u16(size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)}; }

std::string tlv(int type, const std::string& value) { return static_cast<char>(type) + u16(value.size()) + value; }

std::string v2(const std::string& block, int family = 0x11, int command = 0x21) {
  return kSignature + static_cast<char>(command) + static_cast<char>(family) + u16(block.size()) + block;
}

// Bit by bit, as the polynomial says: another way than the parser's.
uint32_t crc32c(const std::string& text) {
  uint32_t crc = 0xffffffff;
  for (char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

// Puts the checksum of the whole where the TLV of four zero bytes stands.
std::string with_crc(std::string header) {
  const size_t at = header.find(tlv(3, "\0\0\0\0"s)) + 3;
  const uint32_t crc = crc32c(header);
  for (int byte = 0; byte < 4; ++byte)
    header[at + static_cast<size_t>(byte)] = static_cast<char>(crc >> (24 - 8 * byte));
  return header;
}

ProxyHeader parsed(const std::string& text) {
  ProxyHeader out;
  size_t consumed = 0;
  const char* why = "";
  CAPTURE(text);
  const ProxyParse verdict = parse_proxy_header(as_bytes(text + "what follows"), out, consumed, &why);
  CAPTURE(why);
  REQUIRE(verdict == ProxyParse::done);
  REQUIRE(consumed == text.size());
  return out;
}

void check_refused(const std::string& text) {
  CAPTURE(text);
  ProxyHeader out;
  size_t consumed = 99;
  const char* why = nullptr;
  CHECK(parse_proxy_header(as_bytes(text), out, consumed, &why) == ProxyParse::malformed);
  CHECK(why != nullptr);
  CHECK(consumed == 99);
  for (size_t cut = 0; cut < text.size(); ++cut)
    CHECK(parse_proxy_header(as_bytes(text).first(cut), out, consumed) != ProxyParse::done);
}

void check_every_cut(const std::string& text) {
  for (size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(text, cut);
    ProxyHeader out;
    size_t consumed = 99;
    const char* why = nullptr;
    CHECK(parse_proxy_header(as_bytes(text).first(cut), out, consumed, &why) == ProxyParse::need_more);
    CHECK((why == nullptr && consumed == 99));
  }
}

}  // namespace

TEST_CASE("proxy v1: what is sound is read, split at every byte") {
  struct Row {
    std::string text;
    bool local;
    const char* source;
    const char* destination;
  };
  const Row rows[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\r\n", false, "192.0.2.1:55555", "198.51.100.2:443"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", false, "255.255.255.255:65535",
       "255.255.255.255:65535"},
      {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", false, "0.0.0.0:0", "0.0.0.0:0"},
      {"PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", false, "[2001:db8::1]:1", "[2001:db8::2]:2"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       false, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 5 6\r\n", false, "192.0.2.1:5", "198.51.100.2:6"},
      {"PROXY UNKNOWN\r\n", true, "", ""},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", true, "", ""},
      {"PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", true, "", ""},  // 107 bytes
  };
  for (const Row& row : rows) {
    const ProxyHeader header = parsed(row.text);
    CHECK(header.local == row.local);
    CHECK(header.source.text() == row.source);
    CHECK(header.destination.text() == row.destination);
    CHECK((header.alpn.empty() && header.authority.empty() && header.unique_id.empty() && !header.ssl));
    check_every_cut(row.text);
  }
}

TEST_CASE("proxy v1: anything else is refused") {
  const std::string rows[] = {
      "PROXY TCP4 999.1.1.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 256.1.1.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.01 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1.5 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 0x7f.0.0.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 3221225985 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 055555 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 0443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 18446744073709551617 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 \r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443 \r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443 1\r\n",
      "PROXY TCP4  192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY  TCP4 192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1\t198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1\0 198.51.100.2 55555 443\r\n"s,
      "PROXY TCP4 2001:db8::1 2001:db8::2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1 2001:db8::2 55555 443\r\n",
      "PROXY TCP6 192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP6 2001:db8::1 198.51.100.2 55555 443\r\n",
      "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 55555 443\r\n",
      "PROXY TCP6 2001:db8::1::2 2001:db8::2 55555 443\r\n",
      "PROXY TCP6 2001:db8::g 2001:db8::2 55555 443\r\n",
      "PROXY TCP6 [2001:db8::1] [2001:db8::2] 55555 443\r\n",
      "PROXY TCP6 fe80::1%eth0 fe80::2 55555 443\r\n",
      "PROXY TCP6 12345::1 2001:db8::2 55555 443\r\n",
      "PROXY TCP6 2001:db8::1\0 2001:db8::2 55555 443\r\n"s,
      "PROXY tcp4 192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY UDP4 192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY UNIX /a /b\r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY \r\n",
      "proxy TCP4 192.0.2.1 198.51.100.2 55555 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\r\r\n",
      "PROXY UNKNOWN\rGET / HTTP/1.1\r\n",
      "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",  // 108 bytes
      "PROXY UNKNOWN " + std::string(300, 'x') + "\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01",
  };
  for (const std::string& row : rows) check_refused(row);
}

TEST_CASE("proxy v1: a line without end is refused at its 107th byte") {
  const std::string line = "PROXY UNKNOWN " + std::string(200, 'x');
  ProxyHeader out;
  size_t consumed = 0;
  CHECK(parse_proxy_header(as_bytes(line).first(106), out, consumed) == ProxyParse::need_more);
  CHECK(parse_proxy_header(as_bytes(line).first(107), out, consumed) == ProxyParse::malformed);
}

TEST_CASE("proxy v2: addresses are read, split at every byte") {
  ProxyHeader header = parsed(v2(kTcp4));
  CHECK((!header.local && header.source == ip("192.0.2.1", 55555) && header.destination == ip("198.51.100.2", 443)));
  check_every_cut(v2(kTcp4));

  const std::string one = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01";
  const std::string two = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x02";
  header = parsed(v2(one + two + "\x00\x01\x00\x02"s, 0x21));
  CHECK((!header.local && header.source == ip("2001:db8::1", 1) && header.destination == ip("2001:db8::2", 2)));
  check_every_cut(v2(one + two + "\x00\x01\x00\x02"s, 0x21));

  const std::string mapped = std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x07"s;
  header = parsed(v2(mapped + mapped + "\x00\x01\x00\x02"s, 0x21));
  CHECK(header.source == ip("192.0.2.7", 1));
  CHECK(header.source.family() == AF_INET);
  check_refused(v2(mapped + two + "\x00\x01\x00\x02"s, 0x21));
}

TEST_CASE("proxy v2: LOCAL, UNSPEC and UNIX leave the socket's own peer") {
  for (const std::string& text : {
           v2("", 0x00, 0x20),
           v2(kTcp4, 0x11, 0x20),
           v2("three bytes or more of anything", 0x11, 0x20),  // of LOCAL nothing after the command counts
           v2("\xff\xff", 0x12, 0x20),
           v2("", 0x00),
           v2(std::string(216, '\0'), 0x31),
       }) {
    const ProxyHeader header = parsed(text);
    CHECK((header.local && header.source.empty() && header.destination.empty()));
    check_every_cut(text);
  }
  const ProxyHeader unix_peer = parsed(v2("/run/a" + std::string(210, '\xff') + tlv(2, "a.example"), 0x31));
  CHECK((unix_peer.local && unix_peer.authority == "a.example"));
  CHECK(parsed(v2(tlv(5, "id"), 0x00)).unique_id == "id");
}

TEST_CASE("proxy v2: what is not version 2, a stream, or whole is refused at once") {
  for (int command = 0; command < 256; ++command) {
    if (command == 0x20 || command == 0x21) continue;
    check_refused(kSignature + static_cast<char>(command));
  }
  for (int family = 0; family < 256; ++family) {
    if (family == 0x00 || family == 0x11 || family == 0x21 || family == 0x31) continue;
    check_refused(kSignature + "\x21" + static_cast<char>(family));  // the datagram transports among them
  }
  check_refused(v2(kTcp4.substr(0, 11)));
  check_refused(v2("", 0x11));
  check_refused(v2(std::string(35, '\0'), 0x21));
  check_refused(v2(std::string(215, '\0'), 0x31));
  check_refused(kSignature + "\x21\x11\x10\x01"s);  // 4097 bytes
  parsed(v2(kTcp4 + tlv(4, std::string(4096 - 12 - 3, '\0'))));
  check_refused("\r\n\r\n\0\r\nQUIT\r"s);
}

TEST_CASE("proxy v2: TLVs") {
  const std::string ssl = "\x01\x00\x00\x00\x01"s + tlv(0x21, "TLSv1.3") + tlv(0x22, "a common name");
  const std::string text = with_crc(v2(kTcp4 + tlv(1, "h2") + tlv(2, "a.example") + tlv(3, "\0\0\0\0"s) +
                                       tlv(4, "xyz") + tlv(5, "unique") + tlv(0x20, ssl) + tlv(0x30, "namespace") +
                                       tlv(0xe0, "theirs") + tlv(0xe0, "twice") + tlv(4, "") + tlv(0xff, "")));
  const ProxyHeader header = parsed(text);
  CHECK(header.source == ip("192.0.2.1", 55555));
  CHECK(header.alpn == "h2");
  CHECK(header.authority == "a.example");
  CHECK(header.unique_id == "unique");
  CHECK(header.ssl);
  check_every_cut(text);

  // A bit that is not as it was sent is found, unless it makes another type of the checksum itself.
  const size_t checksum_type = text.find("\x03\x00\x04"s, 28);
  for (size_t at = 16; at < text.size(); ++at) {
    CAPTURE(at);
    std::string other = text;
    other[at] = static_cast<char>(other[at] ^ 0x40);
    ProxyHeader out;
    size_t consumed = 0;
    const bool done = parse_proxy_header(as_bytes(other), out, consumed) == ProxyParse::done;
    CHECK(done == (at == checksum_type));
  }

  CHECK(!parsed(v2(kTcp4 + tlv(0x20, "\0\0\0\0\0"s))).ssl);
  CHECK(!parsed(v2(kTcp4 + tlv(0x20, "\x06\0\0\0\0"s))).ssl);
  CHECK(parsed(v2(kTcp4 + tlv(5, std::string(128, 'u')))).unique_id.size() == 128);
  CHECK(parsed(v2(kTcp4 + tlv(2, ""))).authority.empty());
}

TEST_CASE("proxy v2: TLVs that do not fit, come twice or lie are refused") {
  for (const std::string& tlvs : {
           "\x04"s,
           "\x04\x00"s,
           "\x04\x00\x01"s,
           tlv(4, "abc").substr(0, 5),
           tlv(4, "abc") + "\x01",
           "\xe0\xff\xff"s + "x",
           tlv(1, "h2") + tlv(1, "h2"),
           tlv(2, "a.example") + tlv(2, "b.example"),
           tlv(5, std::string(129, 'u')),
           tlv(3, "\0\0\0\0"s),
           tlv(3, "\0\0\0"s),
           tlv(3, ""),
           tlv(0x20, ""),
           tlv(0x20, "\x01\0\0\0"s),
           tlv(0x20, "\x01\0\0\0\0\x21"s),
           tlv(0x20, "\x01\0\0\0\0\x21\x00\x09TLS"s),
       })
    check_refused(v2(kTcp4 + tlvs));
  std::string wrong = with_crc(v2(kTcp4 + tlv(3, "\0\0\0\0"s)));
  parsed(wrong);
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  check_refused(wrong);
}

TEST_CASE("proxy: what is written is what the specification says") {
  std::string out;
  append_proxy_v1(out, ip("192.0.2.1", 55555), ip("198.51.100.2", 443));
  CHECK(out == "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\r\n");
  append_proxy_v1(out, ip("2001:db8::1", 1), ip("2001:db8::2", 2));
  CHECK(out == "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\r\nPROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
  out.clear();
  append_proxy_v1(out, ip("::ffff:192.0.2.1", 55555), ip("::ffff:198.51.100.2", 443));
  CHECK(out == "PROXY TCP4 192.0.2.1 198.51.100.2 55555 443\r\n");

  out = "before";
  append_proxy_v2(out, ip("::ffff:192.0.2.1", 55555), ip("198.51.100.2", 443));
  CHECK(out == "before" + v2(kTcp4));
  out.clear();
  append_proxy_v2(out, ip("192.0.2.1", 55555), ip("198.51.100.2", 443), {"h2", "a.example", true, "TLSv1.3"});
  CHECK(out ==
        v2(kTcp4 + tlv(1, "h2") + tlv(2, "a.example") + tlv(0x20, "\x01\x00\x00\x00\x01"s + tlv(0x21, "TLSv1.3"))));
  out.clear();
  append_proxy_v2(out, ip("192.0.2.1", 55555), ip("198.51.100.2", 443), {{}, {}, true, {}});
  CHECK(out == v2(kTcp4 + tlv(0x20, "\x01\x00\x00\x00\x01"s)));
  out.clear();
  append_proxy_v2_local(out);
  CHECK(out == v2("", 0x00, 0x20));
}

TEST_CASE("proxy: addresses that are not two of one IP family are written as unknown") {
  const Address unix_socket = *Address::parse("unix:/run/a.sock");
  const std::pair<Address, Address> rows[] = {
      {ip("192.0.2.1", 1), ip("2001:db8::2", 2)},
      {ip("2001:db8::1", 1), ip("192.0.2.2", 2)},
      {unix_socket, unix_socket},
      {Address{}, Address{}},
      {ip("192.0.2.1", 1), Address{}},
      {unix_socket, ip("192.0.2.1", 1)},
  };
  for (const auto& [source, destination] : rows) {
    std::string out;
    append_proxy_v1(out, source, destination);
    CHECK(out == "PROXY UNKNOWN\r\n");
    out.clear();
    append_proxy_v2(out, source, destination, {"h2", {}, false, {}});
    CHECK(out == v2(tlv(1, "h2"), 0x00));
    CHECK(parsed(out).local);
  }
}

TEST_CASE("proxy: what is written is read back") {
  std::mt19937 random(1);
  const auto some = [&](bool v6) {
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    four.sin_family = AF_INET;
    for (auto& byte : six.sin6_addr.s6_addr) byte = random() % 3 == 0 ? uint8_t{0} : static_cast<uint8_t>(random());
    six.sin6_port = four.sin_port = static_cast<uint16_t>(random());
    four.sin_addr.s_addr = static_cast<uint32_t>(random());
    return v6 ? Address::from(reinterpret_cast<const sockaddr*>(&six), sizeof six)
              : Address::from(reinterpret_cast<const sockaddr*>(&four), sizeof four);
  };
  for (int round = 0; round < 2000; ++round) {
    const bool v6 = round % 2 == 0;
    const Address source = some(v6);
    const Address destination = some(v6);
    std::string text;
    if (round % 4 < 2)
      append_proxy_v1(text, source, destination);
    else
      append_proxy_v2(text, source, destination, {"http/1.1", "a.example", round % 3 == 0, "TLSv1.2"});
    const ProxyHeader header = parsed(text);
    CHECK((!header.local && header.source == source && header.destination == destination));
    if (round % 4 >= 2)
      CHECK((header.alpn == "http/1.1" && header.authority == "a.example" && header.ssl == (round % 3 == 0)));
  }
}

TEST_CASE("proxy: random bytes get an answer, the same however they are cut") {
  std::mt19937 random(2);
  const std::string starts[] = {"",
                                "PROXY ",
                                "PROXY TCP4 ",
                                "PROXY UNKNOWN",
                                kSignature,
                                kSignature + "\x21\x11\x00"s,
                                v2(kTcp4),
                                v2(kTcp4 + tlv(0x20, "\x01\0\0\0\0"s)),
                                with_crc(v2(kTcp4 + tlv(3, "\0\0\0\0"s)))};
  for (int round = 0; round < 20000; ++round) {
    std::string text = starts[random() % std::size(starts)];
    const size_t more = random() % 60;
    for (size_t i = 0; i < more; ++i) text.push_back(static_cast<char>(random()));
    if (!text.empty() && random() % 2 == 0) text[random() % text.size()] = static_cast<char>(random());
    ProxyHeader out;
    size_t consumed = 0;
    const ProxyParse verdict = parse_proxy_header(as_bytes(text), out, consumed);
    if (verdict == ProxyParse::done) REQUIRE(consumed <= text.size());
    for (size_t cut = 0; cut < text.size(); ++cut) {
      ProxyHeader part;
      size_t part_consumed = 0;
      const ProxyParse earlier = parse_proxy_header(as_bytes(text).first(cut), part, part_consumed);
      if (earlier != ProxyParse::need_more) REQUIRE((earlier == verdict && part_consumed == consumed));
    }
  }
}
