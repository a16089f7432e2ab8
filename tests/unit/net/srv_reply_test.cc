#include "net/srv_reply.h"

#include "tests/unit/net/dns_server.h"

namespace sallyport {
namespace {

using namespace test;

const std::string kQuestion = dns_name("_http._tcp.example.tld") + u16(33) + u16(1);

Result<Resolved> parse(const std::string& message) {
  return parse_srv_reply({reinterpret_cast<const uint8_t*>(message.data()), message.size()});
}
Result<Resolved> parse(const std::vector<DnsRecord>& records) {
  return parse(dns_message(u16(7), kQuestion, 0, records));
}

std::string text(const Resolved& found) {
  std::string out;
  for (const SrvTarget& target : found.targets)
    out += target.host + ":" + std::to_string(target.port) + " " + std::to_string(target.priority) + "/" +
           std::to_string(target.weight) + "; ";
  return out + std::to_string(found.ttl.count()) + " s";
}

}  // namespace

TEST_CASE("srv: targets by priority, and the shortest TTL") {
  auto found = parse({srv_record(20, 0, 81, "spare.example.tld", 300), srv_record(10, 60, 8080, "A.example.TLD", 20),
                      srv_record(10, 40, 8081, "a.example.tld", 90)});
  REQUIRE(found);
  CHECK(text(*found) == "a.example.tld:8080 10/60; a.example.tld:8081 10/40; spare.example.tld:81 20/0; 20 s");
}

TEST_CASE("srv: what is no target is left out") {
  const DnsRecord good = srv_record(1, 1, 80, "a.tld");
  for (const DnsRecord& bad : {srv_record(0, 0, 80, ""), srv_record(0, 0, 0, "b.tld"), srv_record(0, 0, 80, "b c.tld"),
                               srv_record(0, 0, 80, "b/.tld"), good}) {
    auto found = parse({good, bad});
    REQUIRE(found);
    CHECK(text(*found) == "a.tld:80 1/1; 1 s");
  }
  CHECK_FALSE(parse({srv_record(0, 0, 80, "")}));
  CHECK_FALSE(parse(std::vector<DnsRecord>{}));
}

TEST_CASE("srv: of very many targets the first in priority stay") {
  std::vector<DnsRecord> many;
  for (unsigned i = 0; i < 200; ++i) many.push_back(srv_record(200 - i, 1, 1000 + i, "a.tld"));
  auto found = parse(many);
  REQUIRE(found);
  CHECK(found->targets.size() == kMostTargets);
  CHECK(found->targets.front().port == 1199);
}

TEST_CASE("srv: a TTL with the highest bit is none (RFC 2181)") {
  auto found = parse({srv_record(1, 1, 80, "a.tld", 0x80000001)});
  REQUIRE(found);
  CHECK(found->ttl.count() == 0);
}

TEST_CASE("srv: a message that is cut or bent anywhere is an error or an answer, and no more than read") {
  const std::string whole =
      dns_message(u16(7), kQuestion, 0, {srv_record(1, 2, 80, "a.tld"), srv_record(3, 4, 81, "b.tld")});
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    CAPTURE(cut);
    // On the heap and no longer than this, so that a sanitizer sees what is read behind it.
    const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
    CHECK_FALSE(parse_srv_reply({reinterpret_cast<const uint8_t*>(exact.data()), exact.size()}));
  }
  for (size_t at = 0; at < whole.size(); ++at)
    for (int byte : {0x00, 0x01, 0x3f, 0x40, 0xc0, 0xff}) {
      std::string bent = whole;
      bent[at] = static_cast<char>(byte);
      if (auto found = parse(bent)) CHECK(found->targets.size() <= 2);
    }
}

}  // namespace sallyport
