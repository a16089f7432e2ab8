#include "base/address.h"

#include <netinet/in.h>
#include <sys/un.h>

#include "catch.h"

namespace sallyport {
namespace {

Address ip(std::string_view text, uint16_t port = 0) {
  auto address = Address::parse_ip(text, port);
  if (!address) FAIL(address.error().text());
  return *address;
}
Network network(std::string_view text) {
  auto parsed = Network::parse(text);
  if (!parsed) FAIL(parsed.error().text());
  return *parsed;
}

}  // namespace

TEST_CASE("address: what is written comes back in one spelling") {
  struct Row {
    std::string_view text;
    int family;
    uint16_t port;
    std::string_view ip_text, again;
  };
  for (const Row& row : {
           Row{"192.0.2.1:443", AF_INET, 443, "192.0.2.1", "192.0.2.1:443"},
           Row{"0.0.0.0:0", AF_INET, 0, "0.0.0.0", "0.0.0.0:0"},
           Row{"255.255.255.255:65535", AF_INET, 65535, "255.255.255.255", "255.255.255.255:65535"},
           Row{"[2001:DB8:0:0::1]:80", AF_INET6, 80, "2001:db8::1", "[2001:db8::1]:80"},
           Row{"[::]:22", AF_INET6, 22, "::", "[::]:22"},
           Row{"[::ffff:192.0.2.1]:443", AF_INET6, 443, "192.0.2.1", "192.0.2.1:443"},
           Row{"unix:/run/a.sock", AF_UNIX, 0, "/run/a.sock", "unix:/run/a.sock"},
       }) {
    CAPTURE(row.text);
    auto address = Address::parse(row.text);
    REQUIRE(address);
    CHECK(address->family() == row.family);
    CHECK(address->port() == row.port);
    CHECK(address->ip_text() == row.ip_text);
    CHECK(address->text() == row.again);
    char buffer[112];
    CHECK(std::string_view(buffer, address->write_ip(buffer)) == row.ip_text);
  }
}

TEST_CASE("address: each number of an IPv4 address is written as it is read") {
  for (int part = 0; part < 256; ++part) {
    const std::string text = std::to_string(part) + "." + std::to_string(255 - part) + ".0." + std::to_string(part);
    CHECK(Address::parse_ip(text, 80)->ip_text() == text);
  }
}

TEST_CASE("address: what is none is refused") {
  const std::string nul("192.0.2.1\0x", 11);
  for (std::string_view text : {"",
                                ":443",
                                "192.0.2.1",
                                "192.0.2.1:",
                                "192.0.2.1:65536",
                                "192.0.2.1:-1",
                                "192.0.2.1:+1",
                                "192.0.2.1: 1",
                                "192.0.2.1:0x10",
                                "192.0.2:1",
                                "256.0.2.1:1",
                                "192.0.2.01:1",
                                "999.1.1.1:1",
                                "::1:80",
                                "[::1]",
                                "[::1:80",
                                "::1]:80",
                                "[]:80",
                                "[::g]:80",
                                "[fe80::1%eth0]:80",
                                "host.lan:80",
                                "localhost:80",
                                "unix:"})
    CHECK_FALSE(Address::parse(text));
  CHECK_FALSE(Address::parse("unix:/" + std::string(107, 'a')));
  CHECK(Address::parse("unix:/" + std::string(106, 'a')));
  // A zero byte must not hide what stands behind it.
  CHECK_FALSE(Address::parse(nul + ":80"));
  CHECK_FALSE(Address::parse_ip(nul, 80));
}

TEST_CASE("address: an IPv4-mapped one is the IPv4 one, once unmapped") {
  Address mapped = ip("::ffff:10.1.2.3", 8080);
  CHECK(mapped.ip_bytes() == std::string_view("\x0a\x01\x02\x03", 4));
  CHECK_FALSE(mapped == ip("10.1.2.3", 8080));
  CHECK(mapped.unmapped() == ip("10.1.2.3", 8080));
  CHECK(mapped.unmapped().family() == AF_INET);
  CHECK(ip("2001:db8::1", 1).unmapped() == ip("2001:db8::1", 1));
  CHECK(ip("10.1.2.3", 1).unmapped() == ip("10.1.2.3", 1));
}

TEST_CASE("address: loopback, any, ports and equality") {
  struct Row {
    const char* text;
    bool loopback, any;
  };
  for (const Row& row : {Row{"127.0.0.1", true, false}, Row{"127.9.9.9", true, false}, Row{"128.0.0.1", false, false},
                         Row{"::1", true, false}, Row{"::2", false, false}, Row{"::ffff:127.0.0.1", true, false},
                         Row{"0.0.0.0", false, true}, Row{"::", false, true}, Row{"0.0.0.1", false, false}}) {
    CAPTURE(row.text);
    CHECK(ip(row.text).is_loopback() == row.loopback);
    CHECK(ip(row.text).is_any() == row.any);
  }
  CHECK(ip("10.0.0.1", 1) == ip("10.0.0.1", 1));
  CHECK_FALSE(ip("10.0.0.1", 1) == ip("10.0.0.1", 2));
  CHECK_FALSE(ip("10.0.0.1", 1) == ip("10.0.0.2", 1));
  CHECK(ip("10.0.0.1", 1).with_port(2) == ip("10.0.0.1", 2));
  CHECK(ip("2001:db8::1", 1).with_port(2) == ip("2001:db8::1", 2));
  CHECK(Address::any_v4(443).text() == "0.0.0.0:443");
  CHECK(Address::any_v6(443).text() == "[::]:443");
  CHECK(Address().empty());
  CHECK(Address() == Address());
  CHECK(Address().text().empty());
  CHECK(Address().ip_text().empty());
  CHECK(*Address::parse("unix:/a") == *Address::parse("unix:/a"));
  CHECK_FALSE(*Address::parse("unix:/a") == *Address::parse("unix:/b"));
}

TEST_CASE("address: what the kernel hands over is taken only when it fits") {
  sockaddr_storage big{};
  big.ss_family = AF_INET;
  CHECK(Address::from(reinterpret_cast<sockaddr*>(&big), sizeof big).empty());
  CHECK(Address::from(nullptr, 16).empty());
  CHECK(Address::from(reinterpret_cast<sockaddr*>(&big), 1).empty());
  // A client of a unix socket has no path.
  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  Address peer = Address::from(reinterpret_cast<sockaddr*>(&unnamed), sizeof(sa_family_t));
  CHECK(peer.family() == AF_UNIX);
  CHECK(peer.ip_text().empty());
}

TEST_CASE("network: contains what its prefix covers, and no more") {
  struct Row {
    const char* network;
    const char* address;
    bool inside;
  };
  for (const Row& row : {
           Row{"10.0.0.0/8", "10.255.255.255", true},
           Row{"10.0.0.0/8", "11.0.0.0", false},
           Row{"10.1.2.3/8", "10.9.9.9", true},
           Row{"192.168.4.0/22", "192.168.7.255", true},
           Row{"192.168.4.0/22", "192.168.8.0", false},
           Row{"192.168.4.0/22", "192.168.3.255", false},
           Row{"192.0.2.1", "192.0.2.1", true},
           Row{"192.0.2.1", "192.0.2.2", false},
           Row{"192.0.2.1/31", "192.0.2.0", true},
           Row{"0.0.0.0/0", "203.0.113.7", true},
           Row{"0.0.0.0/0", "2001:db8::1", false},
           Row{"10.0.0.0/8", "::ffff:10.1.1.1", true},
           Row{"2001:db8::/32", "2001:db8:ffff::1", true},
           Row{"2001:db8::/32", "2001:db9::1", false},
           Row{"2001:db8::/33", "2001:db8:8000::1", false},
           Row{"::/0", "2001:db8::1", true},
           Row{"::/0", "10.0.0.1", false},
           Row{"fe80::1", "fe80::1", true},
       }) {
    CAPTURE(row.network, row.address);
    CHECK(network(row.network).contains(ip(row.address)) == row.inside);
  }
  CHECK_FALSE(network("0.0.0.0/0").contains(*Address::parse("unix:/a")));
  CHECK_FALSE(network("0.0.0.0/0").contains(Address()));
  CHECK(network("10.1.2.3/8").text() == "10.0.0.0/8");
  CHECK(network("10.1.2.3").text() == "10.1.2.3/32");
  CHECK(network("10.1.2.3/8") == network("10.9.9.9/8"));
  CHECK_FALSE(network("10.0.0.0/8") == network("10.0.0.0/9"));
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "2001:db8::/129", "10/8",
                           "host/8", "10.0.0.0/8/8"})
    CHECK_FALSE(Network::parse(text));
}

}  // namespace sallyport
