// When servers are checked, what is told of them, and what a reload leaves alone.
#include "runtime/health.h"

#include <functional>

#include "base/format.h"
#include "config/load.h"
#include "transport/io_world.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;
using State = EndpointHealth::State;

struct Listening {
  explicit Listening(const Address& at = *Address::parse_ip("127.0.0.1", 0))
      : fd(std::move(*listen_on(at, {.reuse_port = false}))), address(local_address(fd.get())) {}
  // Connections that came since the last look.
  size_t visits() {
    size_t count = 0;
    while (accept_from(fd.get())) ++count;
    return count;
  }
  UniqueFd fd;
  Address address;
};

struct World {
  World() { std::signal(SIGPIPE, SIG_IGN); }
  std::shared_ptr<const Snapshot> build(const std::string& service, const Snapshot* previous = nullptr) {
    folder.write("conf.d/s.yaml", service);
    auto snapshot = build_snapshot(config::load(folder.path()), std::make_shared<TicketKeys>(), previous);
    for (const auto& fault : snapshot->config.faults)
      if (fault.severity == config::Severity::error) FAIL(fault.text());
    return snapshot;
  }
  // Runs the loop until the condition holds; false after the limit.
  bool until(const std::function<bool()>& condition, std::chrono::milliseconds limit = kPatience) {
    struct Look final : Deadline::Owner {
      void on_deadline(Deadline&) override {
        held = condition();
        if (held || std::chrono::steady_clock::now() > end) return loop.stop();
        loop.arm(deadline, 10ms);
      }
      Look(Loop& the_loop, const std::function<bool()>& until, std::chrono::milliseconds within)
          : loop(the_loop), condition(until), end(std::chrono::steady_clock::now() + within) {}
      Loop& loop;
      const std::function<bool()>& condition;
      std::chrono::steady_clock::time_point end;
      bool held = false;
      Deadline deadline{*this};
    } look(loop, condition, limit);
    loop.arm(look.deadline, 1ms);
    loop.run();
    return look.held;
  }
  TemporaryFolder folder;
  Loop loop;
  std::vector<std::shared_ptr<Endpoint>> fell;
  size_t failed_connects = 0;
  std::vector<std::string> told;
  Health health{
      loop,
      {[this](const std::shared_ptr<Endpoint>& endpoint) { fell.push_back(endpoint); },
       [this](const Endpoint&) { ++failed_connects; },
       [this](const std::string& service, const Endpoint* server, bool good, const std::string& reason, uint64_t) {
         told.push_back(
             format("{} {} {} {}", service, server != nullptr ? server->label() : "-", good ? "good" : "bad", reason));
       }}};
};

std::string service(const std::string& servers, const std::string& health) {
  return "mode: http\nhosts: [a.example]\nservers: [" + servers + "]\nhealth: { " + health + " }\n";
}

const std::vector<std::shared_ptr<Endpoint>>& endpoints(const Snapshot& snapshot) {
  return snapshot.services.front()->upstream->endpoints;
}

}  // namespace

TEST_CASE("health: each server by itself, down and up again") {
  World world;
  auto one = std::make_unique<Listening>();
  Listening two;
  const Address address = one->address;
  auto snapshot = world.build(service("\"" + address.text() + "\", \"" + two.address.text() + "\"",
                                      "type: tcp, interval: 100ms, fall: 2, rise: 2, on_down: close"));
  world.health.follow(*snapshot);
  const auto& servers = endpoints(*snapshot);
  REQUIRE(world.until([&] {
    return servers[0]->health.report().state == State::up && servers[1]->health.report().state == State::up;
  }));
  CHECK(world.fell.empty());
  one.reset();
  REQUIRE(world.until([&] { return !servers[0]->health.usable(); }));
  CHECK(servers[0]->health.report().reason == "connect: Connection refused");
  CHECK(servers[1]->health.usable());
  REQUIRE(world.fell.size() == 1);
  CHECK(world.fell[0] == servers[0]);
  CHECK(world.failed_connects >= 2);
  one = std::make_unique<Listening>(address);
  REQUIRE(world.until([&] { return servers[0]->health.usable(); }));
  const std::string label = "s " + address.text();
  CHECK(world.told == std::vector<std::string>{label + " bad connect: Connection refused", label + " good "});
}

TEST_CASE("health: a service without servers, and one that traffic took out, are told once") {
  World world;
  auto snapshot = world.build(service("\"127.0.0.1:1\"", "type: tcp, interval: 100ms, fall: 1"));
  world.health.follow(*snapshot);
  REQUIRE(world.until([&] { return world.told.size() >= 2; }));
  CHECK(world.told == std::vector<std::string>{"s 127.0.0.1:1 bad connect: Connection refused", "s - bad "});
  world.told.clear();
  snapshot = world.build(service("\"127.0.0.1:1\"", "type: off, passive: { failures: 1, window: 1s }"));
  world.health.follow(*snapshot);
  REQUIRE(world.until([&] { return !world.told.empty(); }));
  CHECK(world.told == std::vector<std::string>{"s - good "});  // nobody says that it is down any more
  world.told.clear();
  endpoints(*snapshot)[0]->health.traffic_failed(snapshot->services.front()->upstream->health, world.loop.now(), "502");
  REQUIRE(world.until([&] { return world.told.size() >= 2; }));
  CHECK(world.told == std::vector<std::string>{"s 127.0.0.1:1 bad 502", "s 127.0.0.1:1 good "});
}

TEST_CASE("health: one check at a time, in about the interval") {
  World world;
  Listening server;
  auto snapshot = world.build(service("\"" + server.address.text() + "\"", "type: tcp, interval: 200ms"));
  world.health.follow(*snapshot);
  size_t visits = 0;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(world.until([&] {
    CHECK(world.health.running() <= 1);
    return (visits += server.visits()) >= 5;
  }));
  // Four intervals of at least 160 ms; deadlines go by ticks of 64 ms.
  CHECK(std::chrono::steady_clock::now() - begin >= 4 * 160ms - 64ms);
}

TEST_CASE("health: a reload keeps what is known, and forgets what is not checked any more") {
  World world;
  Listening up;
  auto down = std::make_unique<Listening>();
  const std::string servers = "\"" + up.address.text() + "\", \"" + down->address.text() + "\"";
  down.reset();
  auto first = world.build(service(servers, "type: tcp, interval: 100ms"));
  world.health.follow(*first);
  REQUIRE(world.until([&] { return !endpoints(*first)[1]->health.usable(); }));

  auto second = world.build(service(servers, "type: tcp, interval: 150ms"), first.get());
  REQUIRE(endpoints(*second)[1] == endpoints(*first)[1]);
  world.health.follow(*second);
  first.reset();
  CHECK_FALSE(endpoints(*second)[1]->health.usable());
  up.visits();
  REQUIRE(world.until([&] { return up.visits() > 0; }));

  auto third = world.build(service(servers, "type: off"), second.get());
  world.health.follow(*third);
  CHECK(endpoints(*third)[1]->health.usable());
  CHECK(endpoints(*third)[1]->health.report().state == State::unchecked);
  CHECK(world.health.running() == 0);
  world.until([] { return false; }, 200ms);
  up.visits();
  CHECK_FALSE(world.until([&] { return up.visits() > 0; }, 400ms));
}

TEST_CASE("health: many servers wait for their turn") {
  World world;
  // Connected, but never greeted: a check lasts until its timeout.
  Listening silent(Address::any_v4(0));
  std::string servers;
  for (int i = 0; i < 150; ++i)
    servers += format("{}\"127.0.1.{}:{}\"", i == 0 ? "" : ", ", i + 1, silent.address.port());
  auto snapshot = world.build(service(servers, "type: ssh, interval: 100ms, timeout: 500ms, fall: 1"));
  world.health.follow(*snapshot);
  size_t most = 0;
  REQUIRE(world.until([&] {
    most = std::max(most, world.health.running());
    for (const auto& endpoint : endpoints(*snapshot))
      if (endpoint->health.usable()) return false;
    return true;
  }));
  CHECK(most == Health::kMostAtOnce);
  CHECK(endpoints(*snapshot)[149]->health.report().reason == "no answer within 0.5 s");
}

TEST_CASE("health: what traffic took out is tried again") {
  World world;
  auto snapshot = world.build(service("\"127.0.0.1:1\"", "type: off, passive: { failures: 1 }"));
  auto& endpoint = *endpoints(*snapshot)[0];
  world.health.follow(*snapshot);
  // As if it had happened 9 s ago: the first while lasts 10 s.
  REQUIRE(endpoint.health.traffic_failed(snapshot->services.front()->upstream->health, world.loop.now() - 9'000,
                                         "connect"));
  CHECK_FALSE(endpoint.health.usable());
  CHECK(world.until([&] { return endpoint.health.usable(); }));
}

}  // namespace sallyport
