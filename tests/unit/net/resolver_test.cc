// Names to addresses: against a name server of the test's own, and what only this host knows.
#include "net/resolver.h"

#include <cstdlib>
#include <fstream>
#include <optional>

#include "net/loop.h"
#include "tests/unit/net/dns_server.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Alarm final : Deadline::Owner {
  explicit Alarm(Loop& loop) : loop_(loop) { loop_.arm(deadline_, 20s); }
  void on_deadline(Deadline&) override { loop_.stop(); }

 private:
  Loop& loop_;
  Deadline deadline_{*this};
};

// resolv.conf(5): of this machine's own name servers, where they do not answer, that is told soon.
const int kSoon = setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);

// A resolver, asked and waited for.
struct World {
  explicit World(ResolverOptions options) : resolver(loop, std::move(options)) { REQUIRE(kSoon == 0); }
  template <class Ask>
  Result<Resolved> wait(Ask ask) {
    std::optional<Result<Resolved>> out;
    ask([&](Result<Resolved> answer) {
      CHECK_FALSE(out);
      out.emplace(std::move(answer));
      loop.stop();
    });
    CHECK_FALSE(out);  // in a later turn
    Alarm alarm(loop);
    loop.run();
    REQUIRE(out);
    return std::move(*out);
  }
  Result<Resolved> resolve(const std::string& host, uint16_t port = 80) {
    return wait([&](Resolver::Answer answer) { resolver.resolve(host, port, std::move(answer)); });
  }
  Result<Resolved> srv(const std::string& name) {
    return wait([&](Resolver::Answer answer) { resolver.resolve_srv(name, std::move(answer)); });
  }
  Loop loop;
  Resolver resolver;
};

std::string text(const Result<Resolved>& answer) {
  if (!answer) return answer.error().text();
  std::string out;
  for (const Address& address : answer->addresses) out += address.text() + " ";
  for (const SrvTarget& target : answer->targets) {
    out += target.host + "=";
    for (const Address& address : target.addresses) out += address.text() + " ";
  }
  return out + std::to_string(answer->ttl.count()) + "s";
}

}  // namespace

TEST_CASE("resolver: every address once, with the port and the shortest TTL") {
  DnsServer dns;
  dns.set("two.lab", {a_record("127.0.0.5", 30), a_record("127.0.0.6", 7), a_record("127.0.0.5", 30)});
  dns.set("six.lab", {a_record("::1", 9), a_record("127.0.0.5", 30)});
  World world(dns.options());
  auto two = world.resolve("two.lab", 8443);
  REQUIRE(two);
  CHECK(two->addresses.size() == 2);
  CHECK(two->ttl == 7s);
  for (const Address& address : two->addresses) CHECK(address.port() == 8443);
  if (listen_on(*Address::parse_ip("::1", 0), {})) {
    // In the order of RFC 6724: IPv6 first where it can be reached.
    CHECK(text(world.resolve("six.lab")) == "[::1]:80 127.0.0.5:80 9s");
  } else {
    CHECK(text(world.resolve("six.lab")) == "127.0.0.5:80 9s");
  }
}

TEST_CASE("resolver: each question is asked anew, whatever the TTL") {
  DnsServer dns;
  dns.set("a.lab", {a_record("127.0.0.5", 300)});
  World world(dns.options());
  CHECK(text(world.resolve("a.lab")) == "127.0.0.5:80 300s");
  dns.set("a.lab", {a_record("127.0.0.6", 300)});
  CHECK(text(world.resolve("a.lab")) == "127.0.0.6:80 300s");
}

TEST_CASE("resolver: a name server that says no, fails or is silent is an error with the name in it") {
  DnsServer dns;
  World world(dns.options());
  for (int how : {0, 2, 5, DnsServer::kSilent}) {
    CAPTURE(how);
    dns.break_down(how);
    auto answer = world.resolve("no-such-name.invalid");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::unavailable);
    CHECK(answer.error().side == Side::upstream);
    CHECK(answer.error().text().find("no-such-name.invalid") != std::string::npos);
  }
}

TEST_CASE("resolver: another resolv.conf is taken up, and what was asked before is still answered") {
  DnsServer dns;
  World world(dns.options());
  dns.set("a.lab", {a_record("127.0.0.5")});
  CHECK(text(world.resolve("a.lab")) == "127.0.0.5:80 1s");
  std::string earlier;
  world.resolver.resolve("a.lab", 81, [&](Result<Resolved> answer) { earlier = text(answer); });
  std::ofstream(dns.resolv_conf()) << "# nobody listens there\nnameserver 127.0.0.77\n";
  CHECK_FALSE(world.resolve("a.lab"));
  CHECK(earlier == "127.0.0.5:81 1s");
  std::ofstream(dns.resolv_conf()) << "nameserver 127.0.0.1\n";
  CHECK(text(world.resolve("a.lab")) == "127.0.0.5:80 1s");
}

TEST_CASE("resolver: services, with the addresses of their targets") {
  DnsServer dns;
  dns.set("_http._tcp.lab", {srv_record(10, 1, 8080, "one.lab", 20), srv_record(20, 1, 8081, "two.lab", 20),
                             srv_record(20, 1, 8082, "gone.lab", 20)});
  dns.set("one.lab", {a_record("127.0.0.5", 9)});
  dns.set("two.lab", {a_record("127.0.0.6", 30)});
  World world(dns.options());
  // A target that does not resolve is looked for again soon.
  CHECK(text(world.srv("_http._tcp.lab")) == "one.lab=127.0.0.5:8080 two.lab=127.0.0.6:8081 gone.lab=2s");
  dns.set("gone.lab", {a_record("127.0.0.7", 30)});
  CHECK(text(world.srv("_http._tcp.lab")) ==
        "one.lab=127.0.0.5:8080 two.lab=127.0.0.6:8081 gone.lab=127.0.0.7:8082 9s");
  for (const char* name : {"one.lab", "two.lab", "gone.lab"}) dns.remove(name);
  CHECK_FALSE(world.srv("_http._tcp.lab"));
  CHECK_FALSE(world.srv("_https._tcp.lab"));
  dns.break_down(2);
  CHECK_FALSE(world.srv("_http._tcp.lab"));
}

TEST_CASE("resolver: what this host knows needs no name server; an overlong name is nobody's") {
  DnsServer dns;
  World world(dns.options());
  auto local = world.resolve("localhost", 8443);
  REQUIRE(local);
  for (const Address& address : local->addresses) {
    CHECK(address.is_loopback());
    CHECK(address.port() == 8443);
  }
  CHECK(text(world.resolve("127.0.0.1", 8443)).starts_with("127.0.0.1:8443 "));
  CHECK_FALSE(world.resolve(std::string(300, 'a')));
  CHECK(Resolver::pending() == 0);
  auto now = resolve_now("localhost", 1);
  REQUIRE(now);
  CHECK(now->addresses.front().is_loopback());
}

TEST_CASE("resolver: nobody is answered after it died, whatever state the question is in") {
  DnsServer dns;
  dns.set("a.lab", {a_record("127.0.0.5")});
  dns.set("_a._tcp.lab", {srv_record(1, 1, 80, "a.lab")});
  Loop loop;
  bool answered = false;
  {
    Resolver resolver(loop, dns.options());
    for (const char* name : {"localhost", "a.lab", "nobody.invalid"})
      resolver.resolve(name, 1, [&](auto) { answered = true; });
    resolver.resolve_srv("_a._tcp.lab", [&](auto) { answered = true; });
  }
  Resolver other(loop, dns.options());
  other.resolve("a.lab", 1, [&](auto) { loop.stop(); });
  Alarm alarm(loop);
  loop.run();
  CHECK_FALSE(answered);
}

}  // namespace sallyport
