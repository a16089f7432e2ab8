// Names that are followed: against a name server of the test's own.
#include "runtime/names.h"

#include <cstdlib>
#include <functional>

#include "tests/unit/net/dns_server.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;
using config::Resolve;

// resolv.conf(5): of this machine's own name servers, where they do not answer, that is told soon.
const int kSoon = setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);

// A snapshot of services, one server each.
std::shared_ptr<Snapshot> snapshot(const std::vector<std::pair<std::string, Resolve>>& names, int places = 3) {
  auto out = std::make_shared<Snapshot>();
  for (const auto& [name, resolve] : names) {
    auto service = std::make_unique<Service>();
    service->upstream = std::make_unique<Upstream>();
    config::Server server;
    server.text = server.host = name;
    server.port = resolve == Resolve::srv ? 0 : 80;
    for (int place = 0; place < (resolve == Resolve::first ? 1 : places); ++place)
      service->upstream->endpoints.push_back(resolve == Resolve::first
                                                 ? std::make_shared<Endpoint>(server, 0)
                                                 : std::make_shared<Endpoint>(server, 0, resolve, place));
    out->services.push_back(std::move(service));
  }
  return out;
}

std::string places(const Snapshot& of, size_t service = 0) {
  std::string out;
  for (const auto& endpoint : of.services[service]->upstream->endpoints)
    out += endpoint->has_address() ? endpoint->address().text() + " " : "- ";
  return out;
}

// A loop that turns until something holds.
struct World final : private Deadline::Owner {
  World() { REQUIRE(kSoon == 0); }
  bool until(std::function<bool()> what, std::chrono::milliseconds limit = 20s) {
    condition = std::move(what);
    end = Loop::precise_now() / 1000 + static_cast<uint64_t>(limit.count());
    loop.arm(tick, 10ms);
    loop.run();
    return condition();
  }
  // Turns for so long, while something has to hold.
  bool holds(std::function<bool()> what, std::chrono::milliseconds time) {
    return !until([what = std::move(what)] { return !what(); }, time);
  }
  void on_deadline(Deadline&) override {
    if (condition() || Loop::precise_now() / 1000 > end) return loop.stop();
    loop.arm(tick, 10ms);
  }
  DnsServer dns;
  Loop loop;
  Names names{loop, dns.options()};
  std::function<bool()> condition;
  uint64_t end = 0;
  Deadline tick{*this};
};

}  // namespace

TEST_CASE("names: looked up when the TTL is over, and not before") {
  World world;
  world.dns.set("short.lab", {a_record("127.0.0.5", 0)});
  world.dns.set("long.lab", {a_record("127.0.0.6", 4000000)});
  auto now = snapshot({{"short.lab", Resolve::first}, {"long.lab", Resolve::first}});
  world.names.follow(*now);
  CHECK(world.names.pending() == 2);
  REQUIRE(world.until([&] { return places(*now) == "127.0.0.5:80 " && places(*now, 1) == "127.0.0.6:80 "; }));
  world.dns.set("short.lab", {a_record("127.0.0.7", 0)});
  world.dns.set("long.lab", {a_record("127.0.0.8", 30)});
  CHECK(world.until([&] { return places(*now) == "127.0.0.7:80 "; }));
  CHECK(world.dns.asked("short.lab") <= 4);
  CHECK(world.dns.asked("long.lab") == 1);
  CHECK(places(*now, 1) == "127.0.0.6:80 ");
}

TEST_CASE("names: looked up at once when a connect failed, at most once a second") {
  World world;
  world.dns.set("a.lab", {a_record("127.0.0.5", 30)});
  auto now = snapshot({{"a.lab", Resolve::first}});
  world.names.follow(*now);
  REQUIRE(world.until([&] { return places(*now) == "127.0.0.5:80 "; }));
  CHECK(world.holds([&] { return world.dns.asked("a.lab") == 1; }, 1200ms));
  world.dns.set("a.lab", {a_record("127.0.0.6", 30)});
  world.names.look_again("b.lab");  // nobody's
  const uint64_t began = Loop::precise_now();
  world.names.look_again("a.lab");
  CHECK(world.until([&] { return places(*now) == "127.0.0.6:80 "; }));
  CHECK(Loop::precise_now() - began < 900'000);
  for (int i = 0; i < 100; ++i) world.names.look_again("a.lab");
  CHECK(world.holds(
      [&] {
        world.names.look_again("a.lab");
        return world.dns.asked("a.lab") <= 2 + 2;
      },
      1500ms));
}

TEST_CASE("names: the last good answer stays, whatever is wrong with DNS, for servers that a reload brings as well") {
  for (int how : {2, 3, DnsServer::kSilent}) {
    CAPTURE(how);
    World world;
    world.dns.set("a.lab", {a_record("127.0.0.5", 1)});
    auto now = snapshot({{"a.lab", Resolve::all}});
    world.names.follow(*now);
    REQUIRE(world.until([&] { return places(*now) == "127.0.0.5:80 - - "; }));
    world.dns.break_down(how);
    const int asked = world.dns.asked("a.lab");
    REQUIRE(world.until([&] { return world.dns.asked("a.lab") > asked + 1; }));
    CHECK(places(*now) == "127.0.0.5:80 - - ");
    auto then = snapshot({{"a.lab", Resolve::all}, {"a.lab", Resolve::first}});
    world.names.follow(*then);
    CHECK(places(*then) == "127.0.0.5:80 - - ");
    CHECK(places(*then, 1) == "127.0.0.5:80 ");
    world.dns.break_down(0);
    world.dns.set("a.lab", {a_record("127.0.0.6", 1)});
    CHECK(world.until([&] { return places(*then) == "- 127.0.0.6:80 - " && places(*then, 1) == "127.0.0.6:80 "; }));
  }
}

TEST_CASE("names: records of a service, followed") {
  World world;
  world.dns.set("one.lab", {a_record("127.0.0.5", 30)});
  world.dns.set("two.lab", {a_record("127.0.0.6", 30)});
  world.dns.set("_http._tcp.lab", {srv_record(10, 5, 81, "one.lab"), srv_record(20, 5, 82, "two.lab")});
  auto now = snapshot({{"_http._tcp.lab", Resolve::srv}});
  const auto& endpoints = now->services[0]->upstream->endpoints;
  world.names.follow(*now);
  REQUIRE(world.until([&] { return places(*now) == "127.0.0.5:81 127.0.0.6:82 - "; }));
  CHECK(endpoints[0]->weight() == 5);
  CHECK_FALSE(endpoints[0]->backup());
  CHECK(endpoints[1]->backup());
  world.dns.set("_http._tcp.lab", {srv_record(20, 9, 82, "two.lab")});
  REQUIRE(world.until([&] { return places(*now) == "- 127.0.0.6:82 - "; }));
  CHECK(endpoints[1]->weight() == 9);
  CHECK_FALSE(endpoints[1]->backup());
}

}  // namespace sallyport
