// The pool and the connector, against real sockets.
#include "upstream/connector.h"

#include <functional>

#include "transport/io_world.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;

struct Waiter final : Connector::Owner {
  explicit Waiter(Loop& loop) : loop_(loop) {}
  void on_connected(Result<ServerConnection>& connection) override {
    ++answers;
    outcome.emplace(std::move(connection));
    loop_.stop();
  }
  int answers = 0;
  std::optional<Result<ServerConnection>> outcome;

 private:
  Loop& loop_;
};

struct Alarm final : Deadline::Owner {
  explicit Alarm(Loop& loop) : loop_(loop) { loop_.arm(deadline_, 20s); }
  void on_deadline(Deadline&) override { loop_.stop(); }

 private:
  Loop& loop_;
  Deadline deadline_{*this};
};

// An upstream of given addresses, its worker's side, and one connector.
struct Servers : IoWorld {
  explicit Servers(const std::vector<Address>& addresses) {
    upstream.service = "test";
    for (const Address& address : addresses) {
      config::Server server;
      server.text = address.text();
      server.host = "server.lan";
      auto made = std::make_shared<Endpoint>(server, 80);
      if (!address.empty()) made->set_address(address);
      upstream.endpoints.push_back(std::move(made));
    }
    context.connect_failed = [this](Endpoint& endpoint) { failed.push_back(endpoint.address()); };
  }
  Result<ServerConnection> connect(const ConnectOptions& options = {}) {
    if (!worker) worker = std::make_unique<WorkerUpstream>(upstream, context, 0);
    Waiter waiter(loop);
    Connector connector(waiter);
    at_once = true;
    if (auto* outcome = connector.start(*worker, options)) return std::move(*outcome);
    at_once = false;
    Alarm alarm(loop);
    loop.run();
    REQUIRE(waiter.answers == 1);
    CHECK_FALSE(connector.busy());
    return std::move(*waiter.outcome);
  }
  uint32_t load(size_t index) const { return upstream.endpoints[index]->load.load(); }

  Upstream upstream;
  UpstreamSessions sessions;
  UpstreamContextOfWorker context{&io, &sessions, {}};
  std::unique_ptr<WorkerUpstream> worker;
  std::vector<Address> failed;
  bool at_once = false;
};

struct Listening {
  Listening() : fd(std::move(*listen_on(*Address::parse_ip("127.0.0.1", 0), {}))), address(local_address(fd.get())) {}
  UniqueFd accept() {
    REQUIRE(becomes_readable(fd.get()));
    auto accepted = accept_from(fd.get());
    REQUIRE(accepted);
    return std::move(accepted->fd);
  }
  UniqueFd fd;
  Address address;
};

// Held by a socket that does not listen, so that nobody else comes to listen there.
Address refusing() {
  static std::vector<UniqueFd> held;
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any_port = *Address::parse_ip("127.0.0.1", 0);
  REQUIRE(bind(fd.get(), any_port.sa(), any_port.length()) == 0);
  held.push_back(std::move(fd));
  return local_address(held.back().get());
}

// Its backlog is full: a connect neither succeeds nor fails.
struct Silent {
  Silent() : fd(std::move(*listen_on(*Address::parse_ip("127.0.0.1", 0), {.backlog = 0}))) {
    for (int i = 0; i < 4; ++i) waiting.push_back(std::move(connect_to(address())->fd));
    REQUIRE(becomes_readable(fd.get()));  // the one place is taken
  }
  Address address() const { return local_address(fd.get()); }
  UniqueFd fd;
  std::vector<UniqueFd> waiting;
};

// Calls back, where a Waiter stops the loop.
struct Telling final : Connector::Owner {
  void on_connected(Result<ServerConnection>& connection) override { told(connection); }
  std::function<void(const Result<ServerConnection>&)> told;
};

}  // namespace

TEST_CASE("pool: the newest first, by key and generation") {
  IoWorld world;
  Pool pool(world.loop);
  std::vector<UniqueFd> far;
  auto give = [&](std::string_view key, uint32_t generation) {
    FdPair fds = unix_pair();
    far.push_back(std::move(fds.theirs));
    int number = fds.ours.get();
    pool.give(world.transport(std::move(fds.ours)), key, generation);
    return number;
  };
  auto take = [&](std::string_view key, uint32_t generation) {
    TransportPtr transport = pool.take(key, generation, false);
    return transport ? transport->fd() : -1;
  };
  int oldest = give("a", 1);
  int other = give("b", 1);
  int newest = give("a", 1);
  CHECK(pool.size() == 3);
  CHECK(take("", 1) == -1);
  CHECK(take("a", 1) == newest);
  CHECK(take("a", 1) == oldest);
  CHECK(take("a", 1) == -1);
  CHECK(pool.size() == 1);
  CHECK(take("b", 1) == other);
  give("a", 1);
  give("b", 1);
  int moved = give("a", 2);
  CHECK(take("a", 2) == moved);
  CHECK(take("a", 2) == -1);  // and the old generation's are closed
  CHECK(pool.size() == 0);
  for (size_t i = 3; i < 5; ++i) CHECK(state_of(far[i].get()) == "eof");
}

TEST_CASE("pool: what the server closes or sends on is dropped, also before the event is seen") {
  for (int how = 0; how < 6; ++how) {
    CAPTURE(how);
    IoWorld world;
    Pool pool(world.loop);
    FdPair fds = tcp_pair();
    TransportPtr transport = world.transport(std::move(fds.ours));
    int ours = transport->fd();
    auto upset = [&] {
      if (how % 3 == 0) ::shutdown(fds.theirs.get(), SHUT_WR);
      if (how % 3 == 1) REQUIRE(::send(fds.theirs.get(), "HTTP/1.1 408", 12, 0) == 12);
      if (how % 3 == 2) set_reset_on_close(fds.theirs.get());
      if (how % 3 == 2) fds.theirs.reset();
    };
    if (how < 3) {
      pool.give(std::move(transport), "", 0);
      upset();
      CHECK(pool.size() == 1);
      CHECK(world.until([&] { return pool.size() == 0; }));
    } else {
      pool.give(std::move(transport), "", 0);
      upset();
      REQUIRE(becomes_readable(ours));
      CHECK_FALSE(pool.take("", 0, true));  // a look finds out
      CHECK(pool.size() == 0);
    }
  }
  IoWorld world;
  Pool pool(world.loop);
  FdPair fds = unix_pair();
  TransportPtr dirty = world.transport(std::move(fds.ours));
  REQUIRE(::send(fds.theirs.get(), "unread", 6, 0) == 6);
  world.wait();
  pool.give(std::move(dirty), "", 0);
  CHECK(pool.size() == 0);
  FdPair more = unix_pair();
  TransportPtr stashed = world.transport(std::move(more.ours));
  stashed->unread(as_bytes("left over"));
  pool.give(std::move(stashed), "", 0);
  CHECK(pool.size() == 0);
}

TEST_CASE("pool: bounded, the oldest goes first, and all close with it") {
  IoWorld world;
  std::vector<UniqueFd> far;
  {
    Pool pool(world.loop);
    for (size_t i = 0; i < Pool::kMost + 2; ++i) {
      FdPair fds = unix_pair();
      far.push_back(std::move(fds.theirs));
      pool.give(world.transport(std::move(fds.ours)), "", 0);
    }
    CHECK(pool.size() == Pool::kMost);
    CHECK(state_of(far[1].get()) == "eof");
    CHECK(state_of(far[2].get()) == "again");
  }
  CHECK(state_of(far[2].get()) == "eof");
  CHECK(state_of(far.back().get()) == "eof");
}

TEST_CASE("connector: connects, counts the load while it lives, and sends the PROXY header first") {
  Listening server;
  Servers servers({server.address});
  ConnectOptions options;
  options.proxy_header = "PROXY UNKNOWN\r\n";
  auto connection = servers.connect(options);
  REQUIRE(connection);
  CHECK(connection->endpoint == 0);
  CHECK_FALSE(connection->reused);
  CHECK(servers.load(0) == 1);
  connection->transport->write(as_bytes("hello"));
  REQUIRE(connection->transport->flush());
  UniqueFd accepted = server.accept();
  CHECK(take(accepted.get(), 20) == "PROXY UNKNOWN\r\nhello");
  connection = Error{};
  CHECK(servers.load(0) == 0);
  CHECK(servers.failed.empty());
}

TEST_CASE("connector: a server that refuses or says nothing costs a try, and another is asked") {
  Listening server;
  Silent silent;
  Servers servers({refusing(), silent.address(), server.address});
  servers.upstream.timeouts.connect = 300ms;
  const uint64_t began_us = Loop::precise_now();
  auto connection = servers.connect();
  REQUIRE(connection);
  CHECK(Loop::precise_now() - began_us >= 200'000);
  CHECK(connection->endpoint == 2);
  CHECK(connection->connect_ms >= 200);
  CHECK(servers.failed.size() == 2);
  CHECK(servers.upstream.endpoints[0]->connect_failures == 1);
  CHECK(servers.upstream.endpoints[1]->connect_failures == 1);
  CHECK(servers.load(0) + servers.load(1) == 0);
  CHECK(servers.load(2) == 1);
}

TEST_CASE("connector: when all fail, the last one's reason is told, and nothing stays behind") {
  struct Row {
    const char* name;
    int retries;
    size_t tried;
    Kind kind;
  };
  Silent silent;
  for (const Row& row : {Row{"all refuse", 3, 2, Kind::refused}, Row{"no retry", 0, 1, Kind::refused},
                         Row{"silent", 3, 1, Kind::timeout}, Row{"no address", 3, 0, Kind::unavailable},
                         Row{"no server", 3, 0, Kind::unavailable}}) {
    CAPTURE(row.name);
    std::string name = row.name;
    Servers servers(name == "silent"       ? std::vector{silent.address()}
                    : name == "no address" ? std::vector{Address(), Address()}
                    : name == "no server"  ? std::vector<Address>()
                                           : std::vector{refusing(), refusing()});
    servers.upstream.retries = row.retries;
    servers.upstream.timeouts.connect = 200ms;
    auto connection = servers.connect();
    REQUIRE_FALSE(connection);
    CHECK(connection.error().kind == row.kind);
    CHECK(connection.error().side == Side::upstream);
    CHECK(servers.failed.size() == row.tried);
    if (row.tried > 0) CHECK(connection.error().text().find(servers.failed.back().text()) != std::string::npos);
    for (size_t i = 0; i < servers.upstream.endpoints.size(); ++i) CHECK(servers.load(i) == 0);
  }
}

TEST_CASE("connector: a pooled connection is used again, unless a fresh one is asked for or it is dead") {
  Listening server;
  Servers servers({server.address});
  ConnectOptions pooled;
  pooled.pooled = true;
  ConnectOptions only_fresh = pooled, must_be_alive = pooled;
  only_fresh.only_fresh = true;
  must_be_alive.must_be_alive = true;
  auto first = servers.connect(pooled);
  REQUIRE(first);
  CHECK_FALSE(first->reused);
  UniqueFd accepted = server.accept();
  int fd = first->transport->fd();
  auto give_back = [&](Result<ServerConnection>& connection) {
    servers.worker->pools[0]->give(std::move(connection->transport), "", connection->generation);
    connection->load = LoadTicket();
  };
  give_back(first);
  CHECK(servers.load(0) == 0);
  auto second = servers.connect(pooled);
  REQUIRE(second);
  CHECK(servers.at_once);
  CHECK(second->reused);
  CHECK(second->transport->fd() == fd);
  CHECK(servers.load(0) == 1);
  give_back(second);
  CHECK(servers.worker->pools[0]->size() == 1);
  for (const ConnectOptions& options : {ConnectOptions{}, only_fresh}) {
    auto fresh = servers.connect(options);
    REQUIRE(fresh);
    CHECK_FALSE(fresh->reused);
    server.accept();
  }
  CHECK(servers.worker->pools[0]->size() == 1);
  accepted.reset();
  REQUIRE(becomes_readable(fd));  // the end has come, but no turn of the loop has seen it
  auto careful = servers.connect(must_be_alive);
  REQUIRE(careful);
  CHECK_FALSE(careful->reused);
  UniqueFd next = server.accept();
  give_back(careful);
  // The name points elsewhere now: what is connected to the old place is not used again.
  Listening moved;
  servers.upstream.endpoints[0]->set_address(moved.address);
  auto elsewhere = servers.connect(pooled);
  REQUIRE(elsewhere);
  CHECK_FALSE(elsewhere->reused);
  CHECK(peer_address(elsewhere->transport->fd()) == moved.address);
  CHECK(state_becomes(next.get(), "eof") == "eof");
}

TEST_CASE("connector: what is cancelled or destroyed leaves no load and calls nobody") {
  Silent silent;
  Servers servers({silent.address()});
  servers.upstream.timeouts.connect = 50ms;
  WorkerUpstream worker(servers.upstream, servers.context, 0);
  Waiter waiter(servers.loop);
  {
    Connector connector(waiter);
    REQUIRE_FALSE(connector.start(worker, {}));
    CHECK(connector.busy());
    CHECK(servers.load(0) == 1);
    connector.cancel();
    CHECK_FALSE(connector.busy());
    CHECK(servers.load(0) == 0);
    REQUIRE_FALSE(connector.start(worker, {}));
  }
  CHECK(servers.load(0) == 0);
  struct Stop final : Deadline::Owner {
    explicit Stop(Loop& loop) : loop_(loop) { loop_.arm(deadline_, 200ms); }
    void on_deadline(Deadline&) override { loop_.stop(); }
    Loop& loop_;
    Deadline deadline_{*this};
  } stop(servers.loop);
  servers.loop.run();
  CHECK(waiter.answers == 0);
}

TEST_CASE("connector: TLS is part of connecting, by the right name, and a server that fails it costs a try") {
  struct Row {
    const char* tls_name;
    const char* client_host;
    bool fine;
  };
  for (const Row& row :
       {Row{"a.example.tld", "b.example.tld", true}, Row{"", "a.example.tld", true}, Row{"", "b.example.tld", false},
        Row{"", "", false}, Row{"b.example.tld", "a.example.tld", false}}) {
    CAPTURE(row.tls_name, row.client_host);
    Listening server;
    Servers servers({server.address});
    servers.upstream.tls = tls_world().client;
    servers.upstream.tls_name = row.tls_name;
    struct Answering final : IoHandler {
      void on_io() override {
        if (!transport) {
          auto one = accept_from(listener);
          if (!one) return;
          transport = world->transport(std::move(one->fd));
          transport->set_handler(this);
          REQUIRE(transport->accept_tls(*tls_world().server, expected_sni));
        }
        transport->handshake();
      }
      int listener = -1;
      IoWorld* world = nullptr;
      std::string expected_sni;
      TransportPtr transport;
    } answering;
    const std::string host = row.client_host;
    answering.expected_sni = *row.tls_name != '\0' ? row.tls_name : host.empty() ? "server.lan" : host;
    answering.listener = server.fd.get();
    answering.world = &servers;
    Watch watch;
    watch.handler = &answering;
    REQUIRE(servers.loop.poller().add_level(server.fd.get(), watch, false));
    ConnectOptions options;
    options.host = row.client_host;
    auto connection = servers.connect(options);
    CHECK(connection.ok() == row.fine);
    if (!row.fine) CHECK(connection.error().kind == Kind::tls);
    if (!row.fine) CHECK(servers.failed.size() == 1);
    if (row.fine) CHECK(connection->transport->ssl() != nullptr);
    servers.loop.poller().remove(server.fd.get());
  }
}

TEST_CASE("connector: a dial that failed is forgotten with the request that waited for it") {
  Listening server;
  Servers servers({refusing()});
  servers.upstream.protocol = config::HttpProtocol::auto_;
  servers.context.soft_limit = 1;
  WorkerUpstream worker(servers.upstream, servers.context, 0);
  ConnectOptions options;
  options.http = options.pooled = true;
  Telling dialling;
  Waiter waiter(servers.loop);
  Connector first(dialling), second(waiter);
  Gate::Seat seat;
  dialling.told = [&](const Result<ServerConnection>& outcome) {
    CHECK_FALSE(outcome);
    // The second one has been told, and has not come round to it. It is used for something else now: a connection that
    // it has to wait for.
    second.cancel();
    servers.upstream.endpoints[0]->set_address(server.address);
    worker.h2_pools[0]->learn(false);
    seat = worker.gates[0]->try_take();
    REQUIRE(seat);
    REQUIRE_FALSE(second.start(worker, options));
    seat.release();
  };
  REQUIRE_FALSE(first.start(worker, options));
  REQUIRE_FALSE(second.start(worker, options));
  Alarm alarm(servers.loop);
  servers.loop.run();
  REQUIRE(waiter.answers == 1);
  CHECK(waiter.outcome->ok());
}

TEST_CASE("connector: a server that has moved while a request waited is used as it is now") {
  Listening before, now;
  Servers servers({before.address});
  servers.context.soft_limit = 1;
  WorkerUpstream worker(servers.upstream, servers.context, 0);
  ConnectOptions options;
  options.http = options.pooled = true;
  Waiter waiter(servers.loop);
  Connector connector(waiter);
  Gate::Seat seat = worker.gates[0]->try_take();
  REQUIRE(seat);
  REQUIRE_FALSE(connector.start(worker, options));
  servers.upstream.endpoints[0]->set_address(now.address);
  seat.release();
  Alarm alarm(servers.loop);
  servers.loop.run();
  REQUIRE(waiter.answers == 1);
  REQUIRE(waiter.outcome->ok());
  ServerConnection& connection = **waiter.outcome;
  CHECK(peer_address(connection.transport->fd()) == now.address);
  // So that it is used again.
  CHECK(connection.generation == servers.upstream.endpoints[0]->generation());
}

}  // namespace sallyport
