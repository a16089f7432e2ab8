#include "runtime/client_variety.h"

#include "catch.h"

namespace sallyport {
namespace {

Address ip(const std::string& text) { return *Address::parse_ip(text, 1); }

int times_told(ClientVariety& variety, const std::string& text, uint32_t count) {
  int told = 0;
  for (uint32_t i = 0; i < count; ++i) told += variety.all_alike(ip(text));
  return told;
}

}  // namespace

TEST_CASE("client variety: one private address for everybody is told once") {
  ClientVariety alike;
  CHECK(times_told(alike, "10.0.2.100", ClientVariety::kEnough - 1) == 0);
  CHECK(alike.all_alike(ip("10.0.2.100")));
  CHECK(times_told(alike, "10.0.2.100", 500) == 0);

  ClientVariety mixed;
  CHECK(times_told(mixed, "10.0.2.100", 50) == 0);
  CHECK_FALSE(mixed.all_alike(ip("10.0.2.101")));
  CHECK(times_told(mixed, "10.0.2.100", 500) == 0);

  ClientVariety open;
  CHECK(times_told(open, "203.0.113.5", 500) == 0);
}

TEST_CASE("client variety: which addresses are private") {
  for (const char* text : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "fd00::1", "fe80::1"})
    CHECK(is_private(ip(text)));
  for (const char* text : {"11.0.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "127.0.0.1", "::1", "2001:db8::1", "fec0::1"})
    CHECK_FALSE(is_private(ip(text)));
}

}  // namespace sallyport
