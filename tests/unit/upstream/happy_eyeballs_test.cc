// Two addresses of one server, against real sockets.
#include "upstream/happy_eyeballs.h"

#include <memory>
#include <optional>

#include "transport/io_world.h"
#include "upstream/connector.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Listening {
  explicit Listening(int backlog = 16)
      : fd(std::move(*listen_on(*Address::parse_ip("127.0.0.1", 0), {.backlog = backlog}))),
        address(local_address(fd.get())) {}
  UniqueFd fd;
  Address address;
};

// Its backlog is full: a connect neither succeeds nor fails.
struct Silent : Listening {
  Silent() : Listening(0) {
    for (int i = 0; i < 4; ++i) waiting.push_back(std::move(connect_to(address)->fd));
    REQUIRE(becomes_readable(fd.get()));  // the one place is taken
  }
  std::vector<UniqueFd> waiting;
};

// Nobody listens there, and nobody will.
struct Refusing {
  Refusing() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address any_port = *Address::parse_ip("127.0.0.1", 0);
    REQUIRE(bind(fd.get(), any_port.sa(), any_port.length()) == 0);
    address = local_address(fd.get());
  }
  UniqueFd fd;
  Address address;
};

struct World final : IoWorld, HappyEyeballs::Owner, Deadline::Owner {
  // The outcome, and how long it took.
  Result<TransportPtr> race(const Address& first, const Address& second) {
    racer.emplace(io, *this);
    const uint64_t began = Loop::precise_now();
    outcome = racer->start(first, second);
    if (!outcome) {
      loop.arm(alarm, 20s);
      loop.run();
    }
    took_ms = (Loop::precise_now() - began) / 1000;
    REQUIRE(outcome);
    return std::move(*outcome);
  }
  void on_raced(Result<TransportPtr> winner) override {
    CHECK_FALSE(outcome);
    outcome.emplace(std::move(winner));
    loop.stop();
  }
  void on_deadline(Deadline&) override { loop.stop(); }

  std::optional<HappyEyeballs> racer;
  std::optional<Result<TransportPtr>> outcome;
  Deadline alarm{*this};
  uint64_t took_ms = 0;
};

bool nobody_came(const Listening& server) {
  auto accepted = accept_from(server.fd.get());
  return !accepted && accepted.error().sys == EAGAIN;
}

}  // namespace

TEST_CASE("happy eyeballs: the first connects, and the second is not tried") {
  World world;
  Listening first, second;
  auto won = world.race(first.address, second.address);
  REQUIRE(won);
  CHECK(peer_address((*won)->fd()) == first.address);
  CHECK_FALSE(world.racer->second_won());
  CHECK(nobody_came(second));
}

TEST_CASE("happy eyeballs: the second begins when the first says nothing for a moment, and wins") {
  World world;
  Silent first;
  Listening second;
  auto won = world.race(first.address, second.address);
  REQUIRE(won);
  CHECK(peer_address((*won)->fd()) == second.address);
  CHECK(world.racer->second_won());
  CHECK(world.took_ms >= 240);
  CHECK(world.took_ms < 1000);
}

TEST_CASE("happy eyeballs: the second begins at once when the first fails") {
  World world;
  Refusing first;
  Listening second;
  auto won = world.race(first.address, second.address);
  REQUIRE(won);
  CHECK(peer_address((*won)->fd()) == second.address);
  CHECK(world.took_ms < 240);
  // An address without a route fails before it has begun.
  won = world.race(*Address::parse("[ff0e::1]:80"), second.address);
  REQUIRE(won);
  CHECK(world.racer->second_won());
}

TEST_CASE("happy eyeballs: both fail, whatever the order") {
  World world;
  Refusing first, second;
  auto lost = world.race(first.address, second.address);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().kind == Kind::refused);
  CHECK(lost.error().side == Side::upstream);
  CHECK_FALSE(world.race(first.address, {}));
}

TEST_CASE("happy eyeballs: the first may still win while the second is tried") {
  World world;
  auto first = std::make_unique<Silent>();
  Refusing second;
  struct Helper final : Deadline::Owner {
    void on_deadline(Deadline&) override {
      // Room for one: its next SYN gets through.
      for (UniqueFd& fd : silent->waiting) fd.reset();
      for (int i = 0; i < 4; ++i) static_cast<void>(accept_from(silent->fd.get()));
    }
    Silent* silent = nullptr;
    Deadline deadline{*this};
  } helper;
  helper.silent = first.get();
  world.loop.arm(helper.deadline, 400ms);
  auto won = world.race(first->address, second.address);
  REQUIRE(won);
  CHECK(peer_address((*won)->fd()) == first->address);
  CHECK_FALSE(world.racer->second_won());
}

TEST_CASE("happy eyeballs: nobody is told after it was given up") {
  World world;
  Silent first, second;
  {
    HappyEyeballs racer(world.io, world);
    CHECK_FALSE(racer.start(first.address, second.address));
    world.loop.arm(world.alarm, 400ms);
    world.loop.run();
  }
  CHECK_FALSE(world.outcome);
  world.loop.arm(world.alarm, 100ms);
  world.loop.run();
  CHECK_FALSE(world.outcome);
}

namespace {

struct Waiter final : Connector::Owner {
  explicit Waiter(Loop& loop) : loop_(loop) {}
  void on_connected(Result<ServerConnection>& connection) override {
    outcome.emplace(std::move(connection));
    loop_.stop();
  }
  std::optional<Result<ServerConnection>> outcome;

 private:
  Loop& loop_;
};

}  // namespace

TEST_CASE("connector: a server with two addresses is reached at either, and the better one is remembered") {
  IoWorld world;
  UpstreamSessions sessions;
  UpstreamContextOfWorker context{&world.io, &sessions, {}};
  std::vector<std::string> failed;
  context.connect_failed = [&](Endpoint& endpoint) { failed.push_back(endpoint.label()); };
  config::Server server;
  server.text = server.host = "server.lan";
  Upstream upstream;
  upstream.timeouts.connect = 1s;
  upstream.endpoints.push_back(std::make_shared<Endpoint>(server, 80));
  Endpoint& endpoint = *upstream.endpoints[0];
  WorkerUpstream worker(upstream, context, 0);
  auto connect = [&] {
    Waiter waiter(world.loop);
    Connector connector(waiter);
    if (auto* outcome = connector.start(worker, {})) return std::move(*outcome);
    CHECK(connector.busy());
    world.loop.run();
    CHECK_FALSE(connector.busy());
    REQUIRE(waiter.outcome);
    return std::move(*waiter.outcome);
  };
  Silent dead;
  Refusing refusing;
  Listening living;

  endpoint.set_addresses(dead.address, living.address);
  const uint64_t began_us = Loop::precise_now();
  auto first = connect();
  REQUIRE(first);
  CHECK(Loop::precise_now() - began_us >= 240'000);
  CHECK(peer_address(first->transport->fd()) == living.address);
  CHECK(first->connect_ms >= 240);
  CHECK(endpoint.address() == living.address);
  auto second = connect();
  REQUIRE(second);
  CHECK(second->connect_ms < 240);

  endpoint.set_addresses(refusing.address, living.address);
  CHECK(connect());
  CHECK(failed.empty());  // the server was reached

  endpoint.set_addresses(dead.address, refusing.address);
  auto lost = connect();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().kind == Kind::timeout);
  CHECK(failed == std::vector<std::string>{"server.lan"});

  endpoint.set_address({});
  auto gone = connect();
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind == Kind::unavailable);
  CHECK(endpoint.load == 2);
}

}  // namespace sallyport
