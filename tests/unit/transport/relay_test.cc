#include "transport/relay.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <thread>

#include "io_world.h"

namespace sallyport {
namespace {

using namespace test;
using State = Relay::State;

// A relay between two pairs of sockets, whose far ends the test holds.
struct Between : IoWorld {
  Between(FdPair client_pair, FdPair server_pair)
      : client_fd(std::move(client_pair.theirs)),
        server_fd(std::move(server_pair.theirs)),
        client(transport(std::move(client_pair.ours))),
        server(transport(std::move(server_pair.ours))),
        relay(std::make_unique<Relay>(*client, *server)) {}
  // Turns until the relay has ended or, while it runs, until the condition holds.
  template <typename Condition>
  State pump_until(Condition condition) {
    State state = relay->pump();
    eventually([&] {
      // As in the gateway: without an event nobody pumps.
      if (wait() || state == State::again) state = relay->pump();
      return (state != State::running && state != State::again) || condition();
    });
    return state;
  }
  State pump_to_the_end() {
    return pump_until([] { return false; });
  }
  // Turns until nothing has happened for a while. Only for states that have no sign of their own: what the kernel hands
  // over later still is not seen.
  State settle() {
    State state = relay->pump();
    for (int still = 0; still < 5;) {
      bool events = wait(20);
      state = relay->pump();
      if (state != State::again && state != State::running) break;
      still = events || state == State::again ? 0 : still + 1;
    }
    return state;
  }
  // As whoever owns a relay does when it is done: the end of the second direction is this close.
  void close() {
    client.reset();
    server.reset();
  }
  void make_room_everywhere(int size) {
    for (int fd : {client_fd.get(), client->fd(), server->fd(), server_fd.get()}) make_room(fd, size);
  }
  UniqueFd client_fd, server_fd;
  TransportPtr client, server;
  std::unique_ptr<Relay> relay;
};

struct Stream {
  int from, to;
  const std::string& bytes;
  size_t sent = 0;
  std::string got{};
  bool ended = false;
};

// Sends as much as there is room for, and reads what came.
bool step(Stream& stream) {
  bool moved = false;
  if (stream.sent < stream.bytes.size()) {
    ssize_t count = ::send(stream.from, stream.bytes.data() + stream.sent, stream.bytes.size() - stream.sent,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) stream.sent += static_cast<size_t>(count);
    moved = count > 0;
    if (stream.sent == stream.bytes.size()) ::shutdown(stream.from, SHUT_WR);
  }
  std::string got = slurp(stream.to);
  stream.got += got;
  stream.ended = stream.ended || state_of(stream.to) == "eof";
  return moved || !got.empty();
}

struct Run {
  State state = State::running;
  bool spliced = false;
  bool exact = false;
};

// Bulk both ways at once. lend: pipes that the relay may have.
Run bulk(Between& between, size_t lend, size_t size) {
  std::vector<std::unique_ptr<Pipe>> taken;
  while (auto pipe = between.io.pipes.take()) taken.push_back(std::move(pipe));
  for (size_t i = 0; i < lend; ++i) {
    between.io.pipes.give(std::move(taken.back()));
    taken.pop_back();
  }
  std::string up = pattern(size), down = pattern(size, 77);
  Stream streams[] = {{between.client_fd.get(), between.server_fd.get(), up},
                      {between.server_fd.get(), between.client_fd.get(), down}};
  Run run;
  between.until([&] {
    step(streams[0]);
    step(streams[1]);
    between.wait();
    run.state = between.relay->pump();
    if (lend > 0 && !run.spliced) {
      auto spare = between.io.pipes.take();
      run.spliced = spare == nullptr;
      if (spare) between.io.pipes.give(std::move(spare));
    }
    return run.state != State::running && run.state != State::again;
  });
  const uint64_t received = between.client->received(), sent = between.server->sent();
  between.close();
  // The relay has handed everything to the kernel; what a full receive window held back arrives a little later.
  eventually([&] {
    step(streams[0]);
    step(streams[1]);
    return streams[0].ended && streams[1].ended;
  });
  run.exact = streams[0].got == up && streams[1].got == down && streams[0].ended && streams[1].ended &&
              between.relay->from_client() == size && between.relay->from_server() == size &&
              received == size && sent == size;
  for (auto& pipe : taken) between.io.pipes.give(std::move(pipe));
  return run;
}

constexpr size_t kMuch = 6 * 1024 * 1024 + 12'345;

}  // namespace

TEST_CASE("relay: half-closes are passed on, each in its time") {
  for (FdPair (*make)() : {unix_pair, tcp_pair}) {
    Between between(make(), make());
    REQUIRE(::send(between.client_fd.get(), "ping", 4, 0) == 4);
    ::shutdown(between.client_fd.get(), SHUT_WR);
    CHECK(between.pump_until([&] { return between.relay->client_ended(); }) == State::running);
    CHECK(take(between.server_fd.get(), 4) == "ping");
    CHECK(state_becomes(between.server_fd.get(), "eof") == "eof");
    CHECK(between.relay->client_ended());
    CHECK_FALSE(between.relay->server_ended());
    CHECK(state_of(between.client_fd.get()) == "again");
    REQUIRE(::send(between.server_fd.get(), "answer", 6, 0) == 6);
    CHECK(between.pump_until([&] { return between.relay->from_server() == 6; }) == State::running);
    CHECK(take(between.client_fd.get(), 6) == "answer");
    between.server_fd.reset();
    CHECK(between.pump_to_the_end() == State::done);
    between.close();
    CHECK(state_becomes(between.client_fd.get(), "eof") == "eof");
    CHECK(between.relay->from_client() == 4);
    CHECK(between.relay->from_server() == 6);
  }
}

TEST_CASE("relay: what was read before goes first") {
  Between between(unix_pair(), unix_pair());
  between.client->unread(as_bytes("hello "));
  between.server->write(as_bytes("PROXY "));
  REQUIRE(::send(between.client_fd.get(), "world", 5, 0) == 5);
  between.settle();
  CHECK(slurp(between.server_fd.get()) == "PROXY hello world");
  CHECK(between.relay->from_client() == 11);
}

TEST_CASE("relay: bulk both ways at once arrives to the byte, copied and spliced") {
  struct Row {
    FdPair (*make)();
    size_t pipes;
  };
  for (const Row& row : {Row{unix_pair, 0}, Row{tcp_pair, 0}, Row{tcp_pair, 1}, Row{tcp_pair, 2}, Row{unix_pair, 2}}) {
    CAPTURE(row.make == tcp_pair, row.pipes);
    // Whether a direction counts as bulk depends on how much lies in the kernel whenever the relay looks. Each transfer
    // must be exact; that one of them was spliced is enough.
    bool spliced = false;
    for (int round = 0; round == 0 || (row.pipes == 1 && !spliced && round < 50); ++round) {
      Between between(row.make(), row.make());
      make_room(between.client_fd.get(), 1 << 20);
      Run run = bulk(between, row.pipes, kMuch);
      CHECK(run.state == State::done);
      CHECK(run.exact);
      spliced |= run.spliced;
      CHECK(between.io.chunks.in_use() == 0);
      between.relay.reset();
      std::vector<std::unique_ptr<Pipe>> pipes;
      while (auto pipe = between.io.pipes.take()) pipes.push_back(std::move(pipe));
      CHECK(pipes.size() == 64);  // all came back
      for (auto& pipe : pipes) between.io.pipes.give(std::move(pipe));
    }
    if (row.pipes == 1) CHECK(spliced);
  }
}

TEST_CASE("relay: a fast direction waits for much at a time, and its tail comes all the same") {
  Between between(tcp_pair(), tcp_pair());
  between.make_room_everywhere(4 << 20);
  auto tick = [&] {  // the loop's clock moves with its turns
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    between.loop.post([&] { between.loop.stop(); });
    between.loop.run();
  };
  const std::string sent = pattern(32 * 1024 * 1024 + 777);
  Stream stream{between.client_fd.get(), between.server_fd.get(), sent};
  bool patient = false;
  eventually([&] {
    step(stream);
    between.wait();
    State state = between.relay->pump();
    patient |= between.relay->patient();
    CHECK((state == State::running || state == State::again));
    return stream.sent == sent.size() || patient;
  });
  CHECK(patient);
  // Far less than it waits for, and no end behind it: nothing but the look tells.
  size_t whole = stream.sent + 1000;
  const std::string all = sent.substr(0, stream.sent) + pattern(1000, 5);
  REQUIRE(eventually([&] {
    between.wait();
    between.relay->pump();
    stream.got += slurp(stream.to);
    return ::send(stream.from, all.data() + stream.sent, 1000, MSG_DONTWAIT) == 1000;
  }));
  bool came = eventually([&] {
    tick();
    if (between.relay->look()) between.relay->pump();
    between.wait();
    between.relay->pump();
    stream.got += slurp(stream.to);
    return stream.got.size() == whole;
  });
  CHECK(came);
  CHECK((stream.got == all));
  tick();
  between.relay->look();
  CHECK_FALSE(between.relay->patient());
}

TEST_CASE("relay: where the kernel refuses splice, bulk is copied and nothing is lost") {
  bool refused = false;
  Run run;
  // The filter holds for this thread only, and only for splice.
  std::thread([&] {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_splice, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{4, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return;
    refused = true;
    Between between(tcp_pair(), tcp_pair());
    run = bulk(between, 2, kMuch);
  }).join();
  if (!refused) return;  // no filters here
  CHECK(run.state == State::done);
  CHECK(run.exact);
}

TEST_CASE("relay: a slow reader holds the sender back, in bounded memory") {
  for (FdPair (*make)() : {unix_pair, tcp_pair}) {
    Between between(make(), make());
    between.make_room_everywhere(200'000);
    std::string sent = pattern(24 * 1024 * 1024);
    Stream stream{between.client_fd.get(), between.server_fd.get(), sent};
    size_t most = 0;
    auto push = [&] {
      ssize_t count = ::send(stream.from, sent.data() + stream.sent, sent.size() - stream.sent, MSG_DONTWAIT);
      if (count > 0) stream.sent += static_cast<size_t>(count);
      between.wait();
      State state = between.relay->pump();
      most = std::max(most, between.io.chunks.in_use() * Chunk::kSize);
      return count > 0 || state == State::again;
    };
    for (int idle = 0; idle < 50;) {
      idle = push() ? 0 : idle + 1;
      if (idle > 0) between.wait(2);
    }
    CHECK(stream.sent < sent.size());
    CHECK(most <= 3 * Transport::kHighMark);
    CHECK(between.relay->from_client() < sent.size());
    between.until([&] {
      step(stream);
      between.wait();
      between.relay->pump();
      return stream.ended;
    });
    CHECK((stream.got == sent));
  }
}

TEST_CASE("relay: between the marks, too, a stalled direction goes on as its reader takes") {
  for (int room : {4096, 8192, 16384, 24576, 32768}) {
    Between between(unix_pair(), unix_pair());
    std::vector<std::unique_ptr<Pipe>> taken;
    while (auto pipe = between.io.pipes.take()) taken.push_back(std::move(pipe));
    make_room(between.client->fd(), room);
    make_room(between.client_fd.get(), room);
    std::string sent = pattern(1024 * 1024);
    std::string got;
    size_t given = 0;
    for (int idle = 0; idle < 200 && got.size() < sent.size();) {
      ssize_t count = ::send(between.server_fd.get(), sent.data() + given, sent.size() - given, MSG_DONTWAIT);
      if (count > 0) given += static_cast<size_t>(count);
      char buffer[3000];
      ssize_t taken_now = recv(between.client_fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (taken_now > 0) got.append(buffer, static_cast<size_t>(taken_now));
      // As in the gateway: without an event nobody pumps.
      if (between.wait(count > 0 || taken_now > 0 ? 0 : 2))
        while (between.relay->pump() == State::again) {}
      idle = count > 0 || taken_now > 0 ? 0 : idle + 1;
    }
    INFO("room " << room << ", stopped after " << got.size());
    CHECK((got == sent));
    for (auto& pipe : taken) between.io.pipes.give(std::move(pipe));
  }
}

TEST_CASE("relay: one direction's bulk leaves the other its share of each turn") {
  Between between(unix_pair(), unix_pair());
  const int room = 8 << 20;
  for (int fd : {between.client_fd.get(), between.server_fd.get(), between.client->fd(), between.server->fd()}) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  }
  std::string much(1 << 20, 'u');
  ssize_t queued = ::send(between.client_fd.get(), much.data(), much.size(), MSG_DONTWAIT);
  REQUIRE(::send(between.server_fd.get(), much.data(), much.size(), MSG_DONTWAIT) == queued);
  if (queued < static_cast<ssize_t>(much.size())) return;  // not allowed so much room
  between.wait();
  CHECK(between.relay->pump() == State::again);
  CHECK(between.relay->pump() == State::again);
  uint64_t up = between.relay->from_client(), down = between.relay->from_server();
  CHECK(up > 0);
  CHECK(down > 0);
  CHECK(up < much.size());
  CHECK(down < much.size());
  CHECK(between.settle() == State::running);
  CHECK(slurp(between.server_fd.get()).size() == much.size());
  CHECK(slurp(between.client_fd.get()).size() == much.size());
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), 0);
    pollfd room{fd, POLLOUT, 0};
    if (count < 0) ::poll(&room, 1, 1'000);
    bytes.remove_prefix(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  }
}

TEST_CASE("relay: who gets short answers has others take short turns; a transfer either way does not") {
  const auto quantum_after = [](const std::string& question, const std::string& answer) {
    Between between(unix_pair(), unix_pair());
    std::thread far([&] {
      write_all(between.client_fd.get(), question);
      take(between.server_fd.get(), question.size());
      write_all(between.server_fd.get(), answer);
      take(between.client_fd.get(), answer.size());
      write_all(between.client_fd.get(), "?");
    });
    const uint64_t up = question.size() + 1;
    CHECK(between.pump_until([&] { return between.relay->from_client() == up; }) == State::running);
    far.join();
    return between.io.quantum();
  };
  CHECK(quantum_after("?", "!") == IoContext::kShortQuantum);
  CHECK(quantum_after("?", std::string(256 * 1024, '!')) == IoContext::kQuantum);
  CHECK(quantum_after(std::string(256 * 1024, '?'), "") == IoContext::kQuantum);
}

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
