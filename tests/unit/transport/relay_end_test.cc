// How a relay ends: resets and ends told apart, whatever it was doing.
#include "relay_world.h"

namespace sallyport {

using namespace test;

TEST_CASE("relay: a reset on either side is told from an end, and by whom") {
  for (bool by_client : {true, false}) {
    for (bool half_closed_before : {true, false}) {
      CAPTURE(by_client, half_closed_before);
      Between between(tcp_pair(), tcp_pair());
      UniqueFd& bad = by_client ? between.client_fd : between.server_fd;
      if (half_closed_before) {
        ::shutdown(by_client ? between.server_fd.get() : between.client_fd.get(), SHUT_WR);
        auto ended = [&] { return by_client ? between.relay->server_ended() : between.relay->client_ended(); };
        CHECK(between.pump_until(ended) == State::running);
        CHECK(state_becomes(bad.get(), "eof") == "eof");
      } else {
        CHECK(between.relay->pump() == State::running);
      }
      set_reset_on_close(bad.get());
      bad.reset();
      CHECK(between.pump_to_the_end() == (by_client ? State::client_failed : State::server_failed));
      CHECK(between.relay->error().sys == ECONNRESET);
    }
  }
}

namespace {

// Sends until nothing moves any more, with nobody reading on the other side.
size_t stuff(Between& between, int fd, size_t most) {
  std::string piece(200'000, 'x');
  size_t sent = 0;
  for (int idle = 0; idle < 50 && sent < most;) {
    ssize_t count = ::send(fd, piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) sent += static_cast<size_t>(count);
    between.wait(count > 0 ? 0 : 2);
    State state = between.relay->pump();
    REQUIRE((state == State::running || state == State::again));
    idle = count > 0 || state == State::again ? 0 : idle + 1;
  }
  return sent;
}

}  // namespace

TEST_CASE("relay: a client's reset is seen although it is not read, because the server takes nothing") {
  Between between(tcp_pair(), tcp_pair());
  size_t sent = stuff(between, between.client_fd.get(), SIZE_MAX);
  REQUIRE(between.relay->from_client() < sent);
  set_reset_on_close(between.client_fd.get());
  between.client_fd.reset();
  CHECK(between.pump_to_the_end() == State::client_failed);
  CHECK(between.relay->error().sys == ECONNRESET);
}

TEST_CASE("relay: what a server sent before its reset still arrives, and then the cut") {
  Between between(tcp_pair(), tcp_pair());
  size_t sent = stuff(between, between.server_fd.get(), SIZE_MAX);
  set_reset_on_close(between.server_fd.get());
  between.server_fd.reset();
  CHECK(between.settle() == State::running);
  size_t relayed = between.relay->from_server();
  size_t got = 0;
  State state = between.pump_until([&] {
    got += slurp(between.client_fd.get()).size();
    return false;
  });
  // What lay in the relay's own buffers may be lost, what was the kernel's comes.
  eventually([&] {
    got += slurp(between.client_fd.get()).size();
    return got + 2 * Transport::kHighMark >= relayed;
  });
  CHECK(state == State::server_failed);
  CHECK(between.relay->error().sys == ECONNRESET);
  CHECK(relayed < sent);
  CHECK(got >= relayed - 2 * Transport::kHighMark);
  CHECK(between.relay->from_server() > relayed);
}

TEST_CASE("relay: a reset in the middle of bulk is never an end, copied or spliced") {
  for (bool by_client : {true, false}) {
    for (bool splice : {true, false}) {
      CAPTURE(by_client, splice);
      Between between(tcp_pair(), tcp_pair());
      std::vector<std::unique_ptr<Pipe>> taken;
      while (auto pipe = between.io.pipes.take()) taken.push_back(std::move(pipe));
      UniqueFd& bad = by_client ? between.client_fd : between.server_fd;
      int good = by_client ? between.server_fd.get() : between.client_fd.get();
      if (splice) {
        between.io.pipes.give(std::move(taken.back()));
        taken.pop_back();
      }
      // Long runs of large reads, to their end. It is bulk only where the relay always finds enough in the kernel,
      // which one run need not come to.
      bool spliced = false;
      for (int run = 0; run == 0 || (splice && !spliced && run < 50); ++run) {
        size_t sent = stuff(between, bad.get(), SIZE_MAX);
        size_t got = 0;
        REQUIRE(between.until([&] {
          got += slurp(good).size();
          between.wait();
          between.relay->pump();
          auto pipe = between.io.pipes.take();
          spliced |= splice && pipe == nullptr;
          if (pipe) between.io.pipes.give(std::move(pipe));
          return got == sent;
        }));
      }
      CHECK(spliced == splice);
      set_reset_on_close(bad.get());
      bad.reset();
      CHECK(between.pump_to_the_end() == (by_client ? State::client_failed : State::server_failed));
      CHECK(between.relay->error().sys == ECONNRESET);
      CHECK(state_of(good) == "again");
      for (auto& pipe : taken) between.io.pipes.give(std::move(pipe));
    }
  }
}

TEST_CASE("relay: a finished side with bytes still to be taken is no reset") {
  Between between(tcp_pair(), tcp_pair());
  between.make_room_everywhere(200'000);
  ::shutdown(between.server_fd.get(), SHUT_WR);  // the server has said all
  CHECK(between.pump_until([&] { return between.relay->server_ended(); }) == State::running);
  CHECK(state_becomes(between.client_fd.get(), "eof") == "eof");
  std::string much = pattern(24 << 20);
  Stream stream{between.client_fd.get(), between.server_fd.get(), much};
  for (int idle = 0; idle < 50;) {
    ssize_t count = ::send(stream.from, much.data() + stream.sent, much.size() - stream.sent, MSG_DONTWAIT);
    if (count > 0) stream.sent += static_cast<size_t>(count);
    between.wait(count > 0 ? 0 : 2);
    State state = between.relay->pump();
    REQUIRE((state == State::running || state == State::again));
    idle = count > 0 || state == State::again ? 0 : idle + 1;
  }
  REQUIRE(stream.sent < much.size());
  between.client_fd.reset();  // both directions of the client are over now, in good order
  std::string got;
  State state = between.pump_until([&] {
    got += slurp(between.server_fd.get());
    return false;
  });
  got += take(between.server_fd.get(), stream.sent - got.size());
  CHECK(state == State::done);
  CHECK(got.size() == stream.sent);
  CHECK(much.starts_with(got));
}

TEST_CASE("relay: TLS to plain and back, with its ends told apart") {
  for (bool notify : {true, false}) {
    CAPTURE(notify);
    Between between(tcp_pair(), tcp_pair());
    UpstreamSessions sessions;
    TransportPtr peer = between.transport(std::move(between.client_fd));
    REQUIRE(between.client->accept_tls(*tls_world().server, "a.example.tld"));
    REQUIRE(peer->connect_tls(*tls_world().client, "a.example.tld", true, sessions, "s"));
    auto near = Transport::Handshake::again, far = near;
    between.until([&] {
      if (far == Transport::Handshake::again) far = peer->handshake();
      between.wait();
      if (near == Transport::Handshake::again) near = between.client->handshake();
      return near != Transport::Handshake::again && far != Transport::Handshake::again;
    });
    REQUIRE((near == Transport::Handshake::done && far == near));
    std::string up = pattern(3'000'000), down = pattern(2'500'000, 5), got_up, got_down;
    peer->write(as_bytes(up));
    Stream back{between.server_fd.get(), between.server_fd.get(), down};
    // To the end of the server's direction: a peer that left it unread would end by a reset.
    Transport::Read last = Transport::Read::again;
    State state = between.pump_until([&] {
      while (last == Transport::Read::data || last == Transport::Read::again) {
        if ((last = peer->read()) != Transport::Read::data) break;
        got_down += as_text(peer->bytes());
      }
      peer->flush();
      step(back);
      return back.got.size() >= up.size() && last == Transport::Read::eof;
    });
    CHECK((state == State::running || state == State::again));
    CHECK((back.got == up));
    CHECK((got_down == down));
    if (notify) peer->end_write();
    peer.reset();
    state = between.pump_to_the_end();
    CHECK(state == (notify ? State::done : State::client_failed));
    if (!notify) CHECK(between.relay->error().kind == Kind::cut);
    std::string expected = notify ? "eof" : "again";
    if (notify) between.close();
    CHECK(state_becomes(between.server_fd.get(), expected) == expected);
  }
}

}  // namespace sallyport
