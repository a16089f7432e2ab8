#include "upstream/sticky.h"

#include "catch.h"

namespace sallyport {
namespace {

Address client(const std::string& ip) { return *Address::parse_ip(ip, 1234); }

config::Sticky rules(uint32_t size = 100, uint32_t prefix = 128) {
  config::Sticky out;
  out.by = config::Sticky::By::source;
  out.size = size;
  out.expire = std::chrono::milliseconds(1000);
  out.ipv6_prefix = prefix;
  return out;
}

}  // namespace

TEST_CASE("sticky: a client is known by its address, whatever its port") {
  StickyTable table(rules());
  CHECK(table.find(client("10.0.0.1"), 1) == 0);
  table.store(client("10.0.0.1"), 7, 1);
  table.store(client("2001:db8::1"), 8, 1);
  CHECK(table.find(*Address::parse_ip("10.0.0.1", 99), 1) == 7);
  CHECK(table.find(*Address::parse_ip("::ffff:10.0.0.1", 99), 1) == 7);
  CHECK(table.find(client("2001:db8::1"), 1) == 8);
  CHECK(table.find(client("2001:db8::2"), 1) == 0);
  CHECK(table.find(client("10.0.0.2"), 1) == 0);
  CHECK(table.find(*Address::parse("unix:/run/x"), 1) == 0);
  table.store(*Address::parse("unix:/run/x"), 9, 1);
  CHECK(table.size() == 2);
  table.store(client("10.0.0.1"), 9, 2);
  CHECK(table.find(client("10.0.0.1"), 2) == 9);
  CHECK(table.size() == 2);
  table.clear();
  CHECK(table.size() == 0);
}

TEST_CASE("sticky: an entry lives on with use, and ends without") {
  StickyTable table(rules());
  table.store(client("10.0.0.1"), 7, 1000);
  CHECK(table.find(client("10.0.0.1"), 2000) == 7);
  CHECK(table.find(client("10.0.0.1"), 3000) == 7);
  CHECK(table.find(client("10.0.0.1"), 4001) == 0);
  CHECK(table.size() == 0);
}

TEST_CASE("sticky: the client that was not seen for longest makes room") {
  StickyTable table(rules(3));
  for (uint64_t n = 1; n <= 3; ++n) table.store(client("10.0.0." + std::to_string(n)), n, n);
  CHECK(table.find(client("10.0.0.1"), 4) == 1);
  table.store(client("10.0.0.4"), 4, 5);
  CHECK(table.find(client("10.0.0.2"), 6) == 0);
  CHECK(table.find(client("10.0.0.1"), 6) == 1);
  CHECK(table.size() == 3);
  StickyTable large(rules(20'000));
  for (int n = 0; n < 60'000; ++n)
    large.store(client("10." + std::to_string(n / 65536) + "." + std::to_string(n / 256 % 256) + "." + std::to_string(n % 256)), 1, 1);
  CHECK(large.size() <= 20'000);
  CHECK(large.size() > 19'000);
}

TEST_CASE("sticky: an IPv6 network can count as one client") {
  struct Row {
    uint32_t prefix;
    const char* other;
    bool same;
  };
  for (const Row& row : {Row{64, "2001:db8:0:1:ffff::9", true}, Row{64, "2001:db8:0:2::1", false},
                         Row{60, "2001:db8:0:f::1", true}, Row{60, "2001:db8:0:10::1", false},
                         Row{128, "2001:db8:0:1::2", false}, Row{127, "2001:db8:0:1::", true}}) {
    CAPTURE(row.prefix, row.other);
    StickyTable table(rules(100, row.prefix));
    table.store(client("2001:db8:0:1::1"), 5, 1);
    CHECK((table.find(client(row.other), 1) == 5) == row.same);
  }
}

TEST_CASE("sticky: what is written down comes back in its order, less what has expired") {
  StickyTable table(rules(3));
  table.store(client("10.0.0.1"), 1, 100);
  table.store(client("10.0.0.2"), 2, 900);
  table.store(client("2001:db8::3"), 3, 1500);
  auto entries = table.entries(1600);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].server == 2);
  CHECK(entries[0].idle_ms == 700);
  CHECK(entries[1].client.size() == 16);
  StickyTable again(rules(3));
  for (const auto& entry : entries) again.restore(entry, 5000);
  again.restore({"short", 9, 1}, 5000);
  again.restore({std::string(4, 'x'), 9, 5000}, 5000);
  CHECK(again.size() == 2);
  CHECK(again.find(client("10.0.0.2"), 5100) == 2);
  CHECK(again.find(client("2001:db8::3"), 5100) == 3);
  CHECK(table.fits(rules(3)));
  CHECK_FALSE(table.fits(rules(4)));
}

TEST_CASE("sticky: one client is forgotten") {
  StickyTable table(rules(100, 64));
  table.store(client("10.0.0.1"), 7, 1);
  table.store(client("10.0.0.2"), 8, 1);
  table.store(client("2001:db8::1"), 9, 1);
  const uint64_t uses = table.uses();
  CHECK(table.remove(*Address::parse_ip("10.0.0.1", 0)));
  CHECK(table.uses() != uses);
  CHECK(!table.remove(*Address::parse_ip("10.0.0.1", 0)));
  CHECK(table.find(client("10.0.0.1"), 1) == 0);
  CHECK(table.find(client("10.0.0.2"), 1) == 8);
  CHECK(table.remove(*Address::parse_ip("2001:db8::ffff", 0)));  // of the same /64
  CHECK(table.size() == 1);
}

}  // namespace sallyport
