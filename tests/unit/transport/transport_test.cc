#include "transport/transport.h"

#include <sys/ioctl.h>

#include "io_world.h"

namespace sallyport {
namespace {

using namespace test;
using Read = Transport::Read;
using Handshake = Transport::Handshake;

std::string text(Transport& transport) { return std::string(as_text(transport.bytes())); }

// Reads until there is nothing more; what came, and how it ended.
Read read_all(Transport& transport, std::string& into) {
  for (;;) {
    Read outcome = transport.read();
    if (outcome != Read::data) return outcome;
    into += as_text(transport.bytes());
  }
}

// Two transports with a TLS session between them.
struct TlsTransports : IoWorld {
  explicit TlsTransports(FdPair fds = unix_pair())
      : server(transport(std::move(fds.ours))), client(transport(std::move(fds.theirs))) {
    REQUIRE(server->accept_tls(*tls_world().server, "a.example.tld"));
    REQUIRE(client->connect_tls(*tls_world().client, "a.example.tld", true, sessions, "192.0.2.1:443"));
  }
  bool shake() {
    Handshake near = Handshake::again, far = Handshake::again;
    until([&] {
      if (far == Handshake::again) far = client->handshake();
      wait();
      if (near == Handshake::again) near = server->handshake();
      return near != Handshake::again && far != Handshake::again;
    });
    return near == Handshake::done && far == Handshake::done;
  }
  UpstreamSessions sessions;
  TransportPtr server, client;
};

}  // namespace

TEST_CASE("transport: reads what came, then nothing, without asking the kernel twice") {
  IoWorld world;
  FdPair fds = unix_pair();
  TransportPtr transport = world.transport(std::move(fds.ours));
  CHECK(transport->read() == Read::again);
  CHECK_FALSE(transport->can_read());
  REQUIRE(::send(fds.theirs.get(), "hello", 5, 0) == 5);
  CHECK(transport->read() == Read::again);  // no event yet
  world.wait();
  CHECK(transport->can_read());
  REQUIRE(transport->read() == Read::data);
  CHECK(text(*transport) == "hello");
  CHECK_FALSE(transport->can_read());  // a short read has emptied the socket
  CHECK(transport->received() == 5);
  CHECK(world.io.chunks.in_use() == 0);
}

TEST_CASE("transport: one read takes no more than is asked for, and 64 KiB unasked") {
  IoWorld world;
  FdPair fds = tcp_pair();
  make_room(fds.ours.get(), 1 << 20);
  make_room(fds.theirs.get(), 1 << 20);
  TransportPtr transport = world.transport(std::move(fds.ours));
  const std::string much = pattern(160 * 1024);
  REQUIRE(::send(fds.theirs.get(), much.data(), much.size(), 0) == static_cast<ssize_t>(much.size()));
  REQUIRE(eventually([&] {
    int there = 0;
    return ioctl(transport->fd(), FIONREAD, &there) == 0 && there == static_cast<int>(much.size());
  }));
  world.wait();
  REQUIRE(transport->read() == Read::data);
  CHECK(text(*transport) == std::string_view(much).substr(0, 64 * 1024));
  REQUIRE(transport->read(1000) == Read::data);
  CHECK(text(*transport) == std::string_view(much).substr(64 * 1024, 1000));
  REQUIRE(transport->read(IoContext::kPlainSize) == Read::data);
  CHECK(text(*transport) == std::string_view(much).substr(64 * 1024 + 1000));
  CHECK_FALSE(transport->can_read());
}

TEST_CASE("transport: after a short answer the quantum is short for a while") {
  struct End final : Deadline::Owner {
    explicit End(Loop& the_loop) : loop(the_loop) { loop.arm(deadline, std::chrono::milliseconds(100)); }
    void on_deadline(Deadline&) override { loop.stop(); }
    Loop& loop;
    Deadline deadline{*this};
  };
  IoWorld world;
  CHECK(world.io.quantum() == IoContext::kQuantum);
  world.io.note_answer(10 << 20);
  CHECK(world.io.quantum() == IoContext::kQuantum);
  world.io.note_answer(1000);
  world.io.note_answer(10 << 20);
  CHECK(world.io.quantum() == IoContext::kShortQuantum);
  End end(world.loop);
  world.loop.run();
  CHECK(world.io.quantum() == IoContext::kQuantum);
}

TEST_CASE("transport: the quantum is modest while much waits to be sent") {
  IoWorld world;
  Chain queue(world.io.chunks);
  queue.append(pattern(1 << 20));
  CHECK(world.io.quantum() == IoContext::kQuantum);
  queue.append(pattern(16 << 20));
  CHECK(world.io.quantum() == IoContext::kModestQuantum);
  queue.clear();
  CHECK(world.io.quantum() == IoContext::kQuantum);
}

TEST_CASE("transport: a half-close ends one direction only, and the rest is read before it") {
  for (FdPair (*make)() : {unix_pair, tcp_pair}) {
    IoWorld world;
    FdPair fds = make();
    TransportPtr transport = world.transport(std::move(fds.ours));
    REQUIRE(::send(fds.theirs.get(), "last", 4, 0) == 4);
    ::shutdown(fds.theirs.get(), SHUT_WR);
    REQUIRE(world.until([&] { return transport->hangup(); }));
    REQUIRE(transport->read() == Read::data);
    CHECK(text(*transport) == "last");
    CHECK(transport->can_read());  // no event will tell of the end again
    CHECK(transport->read() == Read::eof);
    CHECK(transport->read() == Read::eof);
    CHECK_FALSE(transport->broken());
    transport->write(as_bytes("answer"));
    CHECK(transport->pending() == 6);
    transport->end_write();
    CHECK(transport->write_ended());
    CHECK(take(fds.theirs.get(), 6) == "answer");
    CHECK(state_becomes(fds.theirs.get(), "eof") == "eof");
    transport->write(as_bytes("too late"));
    CHECK(transport->pending() == 0);
  }
}

TEST_CASE("transport: urgent data stops a read short, and is not taken for the end") {
  IoWorld world;
  FdPair fds = tcp_pair();
  TransportPtr transport = world.transport(std::move(fds.ours));
  REQUIRE(::send(fds.theirs.get(), "before", 6, 0) == 6);
  REQUIRE(::send(fds.theirs.get(), "!", 1, MSG_OOB) == 1);
  REQUIRE(::send(fds.theirs.get(), "behind", 6, 0) == 6);
  ::shutdown(fds.theirs.get(), SHUT_WR);
  REQUIRE(world.until([&] { return transport->hangup(); }));
  std::string got;
  Read last = Read::again;
  while ((last = transport->read()) == Read::data) got += text(*transport);
  CHECK(last == Read::eof);
  CHECK(got == "beforebehind");  // the urgent byte itself is out of band
}

TEST_CASE("transport: what was put back is read first, in its order") {
  IoWorld world;
  FdPair fds = unix_pair();
  TransportPtr transport = world.transport(std::move(fds.ours));
  REQUIRE(::send(fds.theirs.get(), "three", 5, 0) == 5);
  transport->unread(as_bytes("two"));
  transport->unread(as_bytes("one"));
  transport->unread({});
  CHECK(transport->has_unread());
  CHECK(transport->can_read());
  CHECK_FALSE(transport->quiet());
  REQUIRE(transport->read() == Read::data);
  CHECK(text(*transport) == "onetwo");
  CHECK_FALSE(transport->has_unread());
  REQUIRE(world.until([&] { return transport->can_read(); }));
  REQUIRE(transport->read() == Read::data);
  CHECK(text(*transport) == "three");

  // More than one read takes, and from the very buffer that reads go to.
  std::string much = pattern(600'000);
  transport->unread(as_bytes(much));
  REQUIRE(transport->read() == Read::data);
  size_t first = transport->bytes().size();
  CHECK(first < much.size());
  transport->unread(transport->bytes());
  std::string got;
  CHECK(read_all(*transport, got) == Read::again);
  CHECK(got == much);
  CHECK(world.io.chunks.in_use() == 0);
}

TEST_CASE("transport: takes everything, sends what fits, and ends after the last byte") {
  for (size_t piece : {100, 5000, 9000, 300'000}) {
    CAPTURE(piece);
    IoWorld world;
    FdPair fds = unix_pair();
    make_room(fds.ours.get(), 100'000);
    TransportPtr transport = world.transport(std::move(fds.ours));
    std::string sent = pattern(1'200'000);
    CHECK_FALSE(transport->congested());
    for (size_t at = 0; at < sent.size(); at += piece) {
      std::string_view part = std::string_view(sent).substr(at, piece);
      transport->write(as_bytes(part.substr(0, part.size() / 3)), as_bytes(part.substr(part.size() / 3)));
    }
    CHECK(transport->congested());
    CHECK_FALSE(transport->relaxed());
    transport->end_write();
    CHECK_FALSE(transport->write_ended());
    CHECK_FALSE(transport->writable());
    std::string got;
    bool relaxed_before_end = false;
    for (int i = 0; i < 1000 && state_of(fds.theirs.get()) != "eof"; ++i) {
      got += slurp(fds.theirs.get());
      world.wait();
      REQUIRE(transport->flush());
      relaxed_before_end |= transport->relaxed();
    }
    CHECK(relaxed_before_end);
    CHECK(transport->write_ended());
    CHECK(transport->sent() == sent.size());
    CHECK(got == sent);
    CHECK(world.io.chunks.in_use() == 0);
  }
}

TEST_CASE("transport: a connection that is gone fails the write, and takes no more") {
  IoWorld world;
  FdPair fds = unix_pair();
  TransportPtr transport = world.transport(std::move(fds.ours));
  fds.theirs.reset();
  transport->write(as_bytes("x"));
  CHECK_FALSE(transport->flush());
  CHECK(transport->write_failed());
  CHECK(transport->error().sys == EPIPE);
  CHECK(transport->pending() == 0);
  transport->write(as_bytes(pattern(20'000)));
  CHECK(transport->pending() == 0);
  CHECK_FALSE(transport->flush());
  transport->end_write();
  CHECK_FALSE(transport->write_ended());
}

TEST_CASE("transport: quiet looks past the latches, and a reset is told from an end") {
  IoWorld world;
  for (int end = 0; end < 4; ++end) {
    CAPTURE(end);
    FdPair fds = tcp_pair();
    TransportPtr transport = world.transport(std::move(fds.ours));
    CHECK(transport->quiet());
    if (end == 0) REQUIRE(::send(fds.theirs.get(), "x", 1, 0) == 1);
    if (end == 1) ::shutdown(fds.theirs.get(), SHUT_WR);
    if (end == 2) set_reset_on_close(fds.theirs.get());
    if (end >= 2) fds.theirs.reset();
    CHECK(world.until([&] { return !transport->quiet() && (end == 0 ? transport->can_read() : transport->hangup()); }));
    if (end == 0) {
      CHECK(transport->read() == Read::data);
      CHECK(transport->quiet());
    } else if (end == 2) {
      CHECK(transport->broken());
    } else {
      CHECK(transport->read() == Read::eof);
    }
  }
  FdPair fds = tcp_pair();
  TransportPtr transport = world.transport(std::move(fds.ours));
  set_reset_on_close(fds.theirs.get());
  fds.theirs.reset();
  REQUIRE(world.until([&] { return transport->broken(); }));
  CHECK(transport->read() == Read::failed);
  CHECK(transport->error().sys == ECONNRESET);
  FdPair ours = tcp_pair();
  TransportPtr cutting = world.transport(std::move(ours.ours));
  cutting->reset_on_close();
  cutting.reset();
  CHECK(state_becomes(ours.theirs.get(), "reset") == "reset");
}

TEST_CASE("transport: events of one that died are dropped, its memory comes free with the turn") {
  IoWorld world;
  FdPair fds = unix_pair();
  struct Handler final : IoHandler {
    void on_io() override { ++calls; }
    int calls = 0;
  } handler;
  TransportPtr transport = world.transport(std::move(fds.ours));
  transport->set_handler(&handler);
  CHECK_FALSE(transport->can_read());  // nothing was said yet; and there is room, of which nobody needs to be told
  REQUIRE(::send(fds.theirs.get(), "x", 1, 0) == 1);
  world.wait();
  CHECK(handler.calls == 1);
  transport->write(as_bytes("unsent"));
  transport.reset();
  CHECK(state_of(fds.theirs.get()) != "again");  // over, by a reset as the byte was never read
  world.wait();
  CHECK(handler.calls == 1);
  CHECK(world.io.chunks.in_use() == 0);
  world.loop.purge();
}

TEST_CASE("tls transport: bytes arrive both ways, and a half-close is a close_notify") {
  for (FdPair (*make)() : {unix_pair, tcp_pair}) {
    TlsTransports pair(make());
    REQUIRE(pair.shake());
    std::string there = pattern(900'000), back = pattern(700'000, 9), got_there, got_back;
    for (size_t at = 0; at < there.size(); at += 70'001)
      pair.client->write(as_bytes("<"), as_bytes(std::string_view(there).substr(at, 70'001)));
    std::string expected;
    for (size_t at = 0; at < there.size(); at += 70'001) expected += "<" + there.substr(at, 70'001);
    pair.client->end_write();
    pair.server->write(as_bytes(back));
    Read at_server = Read::again;
    pair.until([&] {
      if (at_server == Read::again) at_server = read_all(*pair.server, got_there);
      REQUIRE(at_server != Read::failed);
      REQUIRE(read_all(*pair.client, got_back) == Read::again);
      REQUIRE(pair.client->flush());
      REQUIRE(pair.server->flush());
      return at_server == Read::eof && got_back.size() >= back.size();
    });
    CHECK(at_server == Read::eof);
    CHECK(got_there == expected);
    CHECK(got_back == back);
    CHECK(pair.client->write_ended());
    CHECK(pair.client->sent() > expected.size());
    pair.server->end_write();
    Read at_client = Read::again;
    pair.until([&] { return (at_client = pair.client->read()) != Read::again; });
    CHECK(at_client == Read::eof);
    CHECK(pair.io.chunks.in_use() == 0);
  }
}

TEST_CASE("tls transport: one read takes no more than is asked for, and the rest raises no event") {
  TlsTransports pair;
  REQUIRE(pair.shake());
  const std::string sent = pattern(40'000);
  pair.client->write(as_bytes(sent));
  REQUIRE(pair.client->flush());
  std::string got;
  pair.until([&] { return pair.server->can_read(); });
  while (got.size() < sent.size() && pair.server->can_read()) {
    if (pair.server->read(1000) == Read::data) {
      CHECK(pair.server->bytes().size() <= 1000);
      got += text(*pair.server);
    }
    if (!pair.server->can_read()) pair.wait(20);
  }
  CHECK(got == sent);
}

TEST_CASE("tls transport: an end without close_notify is a cut, after the bytes before it") {
  for (bool notify : {true, false}) {
    CAPTURE(notify);
    TlsTransports pair;
    REQUIRE(pair.shake());
    pair.client->write(as_bytes("last words"));
    REQUIRE(pair.client->flush());
    if (notify) pair.client->end_write();
    pair.client.reset();
    pair.wait(100);
    REQUIRE(pair.server->read() == Read::data);
    CHECK(text(*pair.server) == "last words");
    CHECK(pair.server->can_read());
    CHECK(pair.server->read() == (notify ? Read::eof : Read::failed));
    if (!notify) CHECK(pair.server->error().kind == Kind::cut);
  }
}

TEST_CASE("tls transport: a fatal alert behind bytes is told after them, and is no end") {
  for (bool ours : {true, false}) {
    CAPTURE(ours);
    TlsTransports pair;
    REQUIRE(pair.shake());
    pair.client->write(as_bytes("last words"));
    REQUIRE(pair.client->flush());
    if (ours) {
      // No record at all: the reader itself finds the fault.
      REQUIRE(::send(pair.client->fd(), "garbage, not a record", 21, 0) == 21);
    } else {
      // The peer finds one, and says so in a fatal alert.
      REQUIRE(::send(pair.server->fd(), "garbage, not a record", 21, 0) == 21);
      pair.wait();
      CHECK(pair.client->read() == Read::failed);
      CHECK(pair.client->flush());
    }
    pair.wait();
    REQUIRE(pair.server->read() == Read::data);
    CHECK(text(*pair.server) == "last words");
    CHECK(pair.server->can_read());
    for (int i = 0; i < 2; ++i) {
      CHECK(pair.server->read() == Read::failed);
      CHECK(pair.server->bytes().empty());
      CHECK(pair.server->error().kind == Kind::tls);
    }
  }
}

TEST_CASE("tls transport: the hello that was read for routing is read again") {
  TlsTransports pair;
  CHECK(pair.client->handshake() == Handshake::again);
  pair.wait();
  // As the demultiplexer does: a plain read by another transport of the same descriptor's bytes, then back.
  std::string hello = slurp(pair.server->fd());
  REQUIRE(hello.size() > 100);
  pair.server->unread(as_bytes(hello));
  CHECK(pair.shake());
}

TEST_CASE("tls transport: a handshake that cannot be says why, and its alert goes out") {
  {
    TlsTransports pair;
    REQUIRE(::send(pair.client->fd(), "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
    pair.wait();
    CHECK(pair.server->handshake() == Handshake::failed);
    CHECK(pair.server->error().kind == Kind::tls);
    CHECK(std::string(pair.server->tls_failure()) != "");
  }
  {
    TlsTransports pair;
    CHECK(pair.client->handshake() == Handshake::again);
    pair.client.reset();
    pair.wait();
    Handshake state = pair.server->handshake();
    if (state == Handshake::again) state = pair.server->handshake();
    CHECK(state == Handshake::failed);
    CHECK(pair.server->error().sys + static_cast<int>(pair.server->error().kind == Kind::cut) != 0);
  }
  {
    IoWorld world;
    UpstreamSessions sessions;
    FdPair fds = unix_pair();
    TransportPtr server = world.transport(std::move(fds.ours)), client = world.transport(std::move(fds.theirs));
    REQUIRE(server->accept_tls(*tls_world().server, ""));
    CHECK_FALSE(client->connect_tls(*tls_world().client, "not a name", true, sessions, "s"));
    FdPair more = unix_pair();
    TransportPtr wrong = world.transport(std::move(more.theirs));
    TransportPtr other = world.transport(std::move(more.ours));
    REQUIRE(other->accept_tls(*tls_world().server, "b.example.tld"));
    REQUIRE(wrong->connect_tls(*tls_world().client, "b.example.tld", true, sessions, "s"));
    Handshake state = Handshake::again, at_server = Handshake::again;
    for (int i = 0; i < 20 && state == Handshake::again; ++i) {
      state = wrong->handshake();
      world.wait();
      if (at_server == Handshake::again) at_server = other->handshake();
      world.wait();
    }
    CHECK(state == Handshake::failed);
    CHECK(wrong->error().text().find("ertificate") != std::string::npos);
    wrong->flush();
    world.wait();
    if (at_server == Handshake::again) CHECK(other->handshake() == Handshake::failed);
    CHECK(other->read() == Read::failed);
  }
}

TEST_CASE("tls transport: what came together with the end says why, not the end") {
  struct Row {
    std::string_view answer;  // to a ClientHello, with a FIN behind it
    const char* failure;
  };
  for (const Row& row : {Row{"HTTP/1.1 400 Bad Request\r\n\r\n", "not_tls"},
                         Row{std::string_view("\x15\x03\x03\x00\x02\x02\x28", 7), "peer_alert"}, Row{"", ""}}) {
    CAPTURE(row.answer);
    IoWorld world;
    FdPair fds = tcp_pair();
    TransportPtr client = world.transport(std::move(fds.ours));
    UpstreamSessions sessions;
    REQUIRE(client->connect_tls(*tls_world().client, "a.example.tld", true, sessions, "x"));
    REQUIRE(client->handshake() == Transport::Handshake::again);
    REQUIRE(::send(fds.theirs.get(), row.answer.data(), row.answer.size(), 0) == static_cast<ssize_t>(row.answer.size()));
    ::shutdown(fds.theirs.get(), SHUT_WR);
    REQUIRE(world.until([&] { return client->hangup(); }));
    CHECK(client->handshake() == Transport::Handshake::failed);
    CHECK(client->error().kind == (row.answer.empty() ? Kind::cut : Kind::tls));
    if (*row.failure != '\0') CHECK(std::string(client->tls_failure()) == row.failure);
  }
}

}  // namespace sallyport
