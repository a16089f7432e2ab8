// The leg over HTTP/2, and a connection that ends before the exchange looks at it.
#include "layers/terminate/h2_leg.h"

#include "transport/io_world.h"
#include "upstream/h2_pool.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;

// SETTINGS of a server; the second takes WebSockets.
constexpr std::string_view kSettings{"\0\0\0\4\0\0\0\0\0", 9};
constexpr std::string_view kSettingsConnect{"\0\0\6\4\0\0\0\0\0\0\x08\0\0\0\1", 15};

// Pumps as a flow does: in a later turn than the event.
struct Owner final : Leg::Owner {
  explicit Owner(Loop& the_loop) : loop(the_loop) {}
  void leg_event() override {
    ++events;
    loop.stop();
  }
  void leg_head(bool) override {}
  void leg_body(Bytes) override {}
  void leg_ended() override {}
  void leg_upgraded(Bytes) override {}
  void leg_half_closed() override {}
  void leg_failed(const Error& error) override {
    failure = error.what;
    leg->abandon();
  }
  size_t leg_may_read() const override { return Transport::kReadSize; }

  Loop& loop;
  H2Leg* leg = nullptr;
  int events = 0;
  std::string failure;
};

struct Server : IoWorld {
  Server() : fds(unix_pair()), pool(io), connection(pool.adopt(transport(std::move(fds.ours)), "", 0, nullptr)) {}
  void say(std::string_view bytes) {
    REQUIRE(::send(fds.theirs.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  void leave() { REQUIRE(::shutdown(fds.theirs.get(), SHUT_WR) == 0); }
  // Turns until the time is over, or somebody stops the loop; what was buried in them is gone then.
  void turns(std::chrono::milliseconds most) {
    struct Alarm final : Deadline::Owner {
      explicit Alarm(Loop& the_loop) : loop(the_loop) {}
      void on_deadline(Deadline&) override { loop.stop(); }
      Loop& loop;
    } alarm(loop);
    Deadline deadline(alarm);
    loop.arm(deadline, most);
    loop.run();
  }
  FdPair fds;
  H2Pool pool;
  H2Connection& connection;
};

http::RequestHead websocket() {
  http::RequestHead request;
  request.method = "GET";
  request.target = "/";
  request.authority = request.host = "test.example";
  request.wants_upgrade = true;
  request.connect_protocol = "websocket";
  return request;
}

}  // namespace

TEST_CASE("h2 leg: a WebSocket for which the server sent SETTINGS and left, at once") {
  struct Row {
    std::string_view settings;
    const char* failure;
  };
  for (const Row& row : {Row{kSettings, "the server takes no WebSocket over HTTP/2 (RFC 8441)"},
                         Row{kSettingsConnect, "the server cut the connection"}}) {
    CAPTURE(row.failure);
    Server server;
    Owner owner(server.loop);
    http::ResponseHead response;
    http::HeaderList trailers;
    http::RequestHead request = websocket();
    std::string scratch;
    H2Leg leg(owner, server.io.chunks);
    owner.leg = &leg;
    ServerConnection got;
    got.h2 = &server.connection;
    leg.attach(std::move(got), response, trailers, server.loop.now());
    leg.send_head(request, true, scratch);
    CHECK_FALSE(leg.can_progress());
    server.say(row.settings);
    server.leave();
    server.turns(kPatience);
    CHECK(server.pool.size() == 0);
    REQUIRE(owner.events > 0);
    CHECK(leg.can_progress());
    leg.pump();
    CHECK(owner.failure == row.failure);
  }
}

TEST_CASE("h2 leg: a WebSocket that the server does not take, and then the connection ends") {
  Server server;
  server.say(kSettings);
  server.turns(100ms);
  REQUIRE(server.connection.settings_received());
  Owner owner(server.loop);
  http::ResponseHead response;
  http::HeaderList trailers;
  http::RequestHead request = websocket();
  std::string scratch;
  H2Leg leg(owner, server.io.chunks);
  owner.leg = &leg;
  ServerConnection got;
  got.h2 = &server.connection;
  leg.attach(std::move(got), response, trailers, server.loop.now());
  leg.send_head(request, true, scratch);
  server.leave();
  server.turns(100ms);
  CHECK(server.pool.size() == 0);
  leg.pump();
  CHECK(owner.failure == "the server takes no WebSocket over HTTP/2 (RFC 8441)");
}

}  // namespace sallyport
