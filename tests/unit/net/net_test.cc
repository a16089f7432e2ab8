// The loop and its parts: turns, latches, sockets, pipes.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "catch.h"
#include "net/loop.h"
#include "net/pipe.h"
#include "net/socket.h"

namespace sallyport {
namespace {

using namespace std::chrono_literals;

struct Timer final : Deadline::Owner {
  explicit Timer(std::function<void()> what) : then(std::move(what)) {}
  void on_deadline(Deadline&) override { then(); }
  std::function<void()> then;
  Deadline deadline{*this};
};

struct Job final : Runnable {
  explicit Job(std::function<void()> what) : then(std::move(what)) {}
  void on_run() override { then(); }
  std::function<void()> then;
};

struct Grave final : Doomed {
  explicit Grave(std::function<void()> what) : then(std::move(what)) {}
  ~Grave() override { then(); }
  std::function<void()> then;
};

struct Counting final : IoHandler {
  void on_io() override {
    ++count;
    if (then) then();
  }
  int count = 0;
  std::function<void()> then;
};

uint64_t now_ms() { return Loop::precise_now() / 1000; }

int events(Poller& poller) {
  int count = poller.wait(0, now_ms());
  poller.dispatch(count);
  return count;
}

struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  UniqueFd near, far;
};

// Some containers have no IPv6 at all.
std::vector<const char*> loopbacks() {
  if (listen_on(*Address::parse_ip("::1", 0), {})) return {"127.0.0.1", "::1"};
  return {"127.0.0.1"};
}
Address loopback(uint16_t port = 0) { return *Address::parse_ip("127.0.0.1", port); }

}  // namespace

TEST_CASE("loop: messages of other threads arrive in order, all of them") {
  Loop loop;
  std::vector<int> got[2];
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i)
        loop.post([&, t, i] {
          got[t].push_back(i);
          if (got[0].size() + got[1].size() == 1000) loop.stop();
        });
    });
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& numbers : got) {
    CHECK(numbers.size() == 500);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

TEST_CASE("loop: a deadline wakes it in time, and one that was disarmed does not") {
  Loop loop;
  bool wrong = false;
  Timer never([&] { wrong = true; });
  uint64_t fired = 0;
  Timer timer([&] {
    fired = Loop::precise_now();
    loop.stop();
  });
  loop.arm(never.deadline, 10ms);
  loop.arm(timer.deadline, 100ms);
  never.deadline.disarm();
  uint64_t began = Loop::precise_now();
  loop.run();
  CHECK(fired - began >= 99'000);
  CHECK(fired - began < 5'000'000);
  CHECK_FALSE(wrong);
}

// One turn after the other; a thread that is kept from its core for long takes one more.
std::string story_of_turns() {
  Loop loop;
  std::string story;
  Job other([&] { story += 'o'; });
  Job job([&] {
    story += 'j';
    if (story.size() > 7) {
      loop.stop();
      return;
    }
    loop.run_soon(job);    // the next turn, not this one
    loop.run_soon(other);  // in the second turn it waits already, and is not put off by this
    loop.bury(std::make_unique<Grave>([&] { story += 'g'; }));
  });
  loop.at_turn_end([&] { story += 'e'; });
  loop.run_soon(job);
  loop.run();
  return story;
}

TEST_CASE("loop: the run queue goes round once a turn, and a turn ends with its hook and then the graveyard") {
  std::string story;
  for (int i = 0; i < 50 && story != "jegjoegje"; ++i) story = story_of_turns();
  CHECK(story == "jegjoegje");
}

TEST_CASE("loop: new events, and what they wake, come before the rest of those who gave way") {
  Loop loop;
  Pair pair;
  std::string story;
  Counting reader;
  Watch watch;
  watch.handler = &reader;
  REQUIRE(loop.poller().add(pair.near.get(), watch, false));
  Job slow([&] {
    story += 's';
    REQUIRE(::send(pair.far.get(), "x", 1, 0) == 1);
    for (const uint64_t end = Loop::precise_now() + 1'000; Loop::precise_now() < end;) {}
  });
  Job next([&] { story += 'n'; });
  Job last([&] {
    story += 'l';
    loop.stop();
  });
  Job fresh([&] { story += 'f'; });
  reader.then = [&] {
    story += 'e';
    CHECK(next.gives_way());
    loop.run_soon(next);  // it goes on giving way
    loop.give_way(last);
    loop.run_soon(fresh);
    CHECK_FALSE(fresh.gives_way());
  };
  loop.give_way(slow);
  loop.run_soon(next);
  loop.give_way(next);  // from now on
  loop.run();
  CHECK(story == "sefnl");  // who was left over keeps its place before those who come
  CHECK_FALSE(next.gives_way());
}

TEST_CASE("loop: a runnable that dies leaves the run queue") {
  Loop loop;
  int ran = 0;
  auto victim = std::make_unique<Job>([&] { ran += 100; });
  Job killer([&] {
    ++ran;
    victim.reset();
    loop.stop();
  });
  loop.run_soon(killer);
  loop.run_soon(*victim);
  loop.run();
  CHECK(ran == 1);
}

TEST_CASE("loop: purge frees what burying frees in turn; what is posted to a dying loop is dropped") {
  int freed = 0;
  bool ran = false;
  {
    Loop loop;
    loop.bury(std::make_unique<Grave>([&] {
      ++freed;
      loop.bury(std::make_unique<Grave>([&] { ++freed; }));
    }));
    loop.purge();
    CHECK(freed == 2);
    loop.post([&] { ran = true; });
  }
  CHECK_FALSE(ran);
}

TEST_CASE("poller: edges set latches, for data, room, half-close, close and reset") {
  Poller poller;
  Pair pair;
  Counting seen;
  Watch watch;
  watch.handler = &seen;
  REQUIRE(poller.add(pair.near.get(), watch, true));
  CHECK(events(poller) == 1);  // writable from the start
  CHECK(watch.writable);
  CHECK_FALSE(watch.readable);
  CHECK(events(poller) == 0);  // an edge is told once

  REQUIRE(::write(pair.far.get(), "x", 1) == 1);
  CHECK(events(poller) == 1);
  CHECK(watch.readable);
  CHECK_FALSE(watch.hangup);
  watch.readable = false;
  CHECK(events(poller) == 0);

  REQUIRE(::shutdown(pair.far.get(), SHUT_WR) == 0);
  CHECK(events(poller) == 1);
  CHECK(watch.readable);
  CHECK(watch.hangup);
  CHECK_FALSE(watch.broken);

  watch.writable = false;
  pair.far.reset();
  CHECK(events(poller) == 1);
  CHECK(watch.broken);
  CHECK(watch.writable);  // a write will say why
  CHECK(seen.count == 4);

  watch.handler = nullptr;
  pair.near.reset();
  CHECK(events(poller) == 0);
}

TEST_CASE("poller: room is told of only to a socket that had none") {
  Poller poller;
  Pair pair;
  Counting seen;
  Watch watch;
  watch.handler = &seen;
  watch.writable = true;
  REQUIRE(poller.add(pair.near.get(), watch, false));
  CHECK(events(poller) == 0);

  std::string much(64 * 1024, 'x');
  while (::send(pair.near.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {}
  REQUIRE(poller.await_room(pair.near.get(), watch));
  CHECK_FALSE(watch.writable);
  CHECK(events(poller) == 0);
  while (::recv(pair.far.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {}
  CHECK(events(poller) == 1);
  CHECK(watch.writable);

  SECTION("room that came before it was asked for is told of as well") {
    Pair other;
    Watch late;
    late.handler = &seen;
    REQUIRE(poller.add(other.near.get(), late, false));
    REQUIRE(poller.await_room(other.near.get(), late));
    CHECK(events(poller) == 1);
    CHECK(late.writable);
  }
  SECTION("and data still is") {
    REQUIRE(::write(pair.far.get(), "x", 1) == 1);
    CHECK(events(poller) == 1);
    CHECK(watch.readable);
  }
}

TEST_CASE("poller: a wait ends in time, whatever was waited for before it") {
  Poller poller;
  Pair pair;
  Watch watch;
  REQUIRE(poller.add(pair.near.get(), watch, false));
  const auto wait = [&](int timeout) {
    const uint64_t began = now_ms();
    poller.dispatch(poller.wait(timeout, began));
    return now_ms() - began;
  };
  REQUIRE(write(pair.far.get(), "x", 1) == 1);
  CHECK(wait(60'000) < 20'000);  // the timer stays set
  CHECK(std::exchange(watch.readable, false));
  CHECK(wait(30) >= 30);  // an earlier one takes its place
  CHECK_FALSE(watch.readable);
  CHECK(wait(30) >= 30);
  REQUIRE(write(pair.far.get(), "x", 1) == 1);
  CHECK(wait(40) < 20'000);
  CHECK(wait(60'000) < 20'000);  // ended by the timer of the one before
  const uint64_t long_ago = now_ms() - 100;
  poller.dispatch(poller.wait(1, long_ago));  // over before it began
  CHECK(now_ms() - long_ago < 20'000);
}

TEST_CASE("poller: a level is told again and again, until it is removed") {
  Poller poller;
  Pair pair;
  Counting seen;
  Watch watch;
  watch.handler = &seen;
  REQUIRE(poller.add_level(pair.near.get(), watch, false));
  REQUIRE(::write(pair.far.get(), "x", 1) == 1);
  CHECK(events(poller) == 1);
  CHECK(events(poller) == 1);
  poller.remove(pair.near.get());
  CHECK(events(poller) == 0);
  CHECK(seen.count == 2);
  CHECK_FALSE(poller.add(-1, watch, true));
}

TEST_CASE("sockets: listening, connecting, accepting") {
  auto listener = listen_on(loopback(), {});
  REQUIRE(listener);
  Address address = local_address(listener->get());
  CHECK(address.port() != 0);
  CHECK(kind_of_socket(listener->get()) == SocketKind::listening);
  CHECK(shares_port(listener->get()));
  auto nobody = accept_from(listener->get());
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().sys == EAGAIN);

  auto connecting = connect_to(address);
  REQUIRE(connecting);
  auto accepted = accept_from(listener->get());
  for (int i = 0; i < 2000 && !accepted; ++i) {
    std::this_thread::sleep_for(10ms);
    accepted = accept_from(listener->get());
  }
  REQUIRE(accepted);
  CHECK(accepted->peer == local_address(connecting->fd.get()));
  CHECK(peer_address(connecting->fd.get()) == address);
  CHECK(socket_error(connecting->fd.get()) == 0);
  CHECK(kind_of_socket(accepted->fd.get()) == SocketKind::connection);
  for (int fd : {listener->get(), connecting->fd.get(), accepted->fd.get()}) {
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  // A close that is to be seen as a cut.
  set_reset_on_close(accepted->fd.get());
  accepted->fd.reset();
  char byte;
  ssize_t got = -1;
  for (int i = 0; i < 2000 && (got = recv(connecting->fd.get(), &byte, 1, 0)) < 0 && errno == EAGAIN; ++i)
    std::this_thread::sleep_for(10ms);
  CHECK(got == -1);
  CHECK(errno == ECONNRESET);
}

namespace {

// What is closed comes free, unless another program is given just this port for a moment.
bool soon_free(const Address& address) {
  for (int i = 0; i < 500; ++i) {
    if (probe_free(address, true)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("sockets: a port that someone serves is not free, even to one who would share it") {
  for (const char* ip : loopbacks()) {
    CAPTURE(ip);
    auto taken = listen_on(*Address::parse_ip(ip, 0), {});
    REQUIRE(taken);
    Address address = local_address(taken->get());
    CHECK(listen_on(address, {}));  // a second worker
    auto probe = probe_free(address, true);
    REQUIRE_FALSE(probe);
    CHECK(probe.error().sys == EADDRINUSE);
    taken->reset();
    CHECK(soon_free(address));
  }
  if (loopbacks().size() == 1) return;
  auto dual = listen_on(Address::any_v6(0), {.v6_only = false});
  REQUIRE(dual);
  uint16_t port = local_address(dual->get()).port();
  CHECK_FALSE(probe_free(loopback(port), true));
  // The same port of the other family is somebody else's to take: one of a few is free.
  bool apart = false;
  for (int i = 0; i < 20 && !apart; ++i) {
    auto v6 = listen_on(Address::any_v6(0), {.v6_only = true});
    REQUIRE(v6);
    apart = probe_free(Address::any_v4(local_address(v6->get()).port()), true).ok();
  }
  CHECK(apart);
}

TEST_CASE("sockets: an address that is not there yet can be bound, for both families") {
  for (const char* ip : {"203.0.113.77", "2001:db8::77"}) {
    CAPTURE(ip);
    if (std::string_view(ip).find(':') != std::string_view::npos && loopbacks().size() == 1) continue;
    CHECK(listen_on(*Address::parse_ip(ip, 0), {}));
    auto strict = listen_on(*Address::parse_ip(ip, 0), {.freebind = false});
    REQUIRE_FALSE(strict);
    CHECK(strict.error().sys == EADDRNOTAVAIL);
  }
}

TEST_CASE("sockets: a unix socket left behind is replaced, a living one is not") {
  char folder[] = "/tmp/sallyport-net-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  Address address = *Address::parse(std::string("unix:") + folder + "/s");
  {
    auto first = listen_on(address, {});
    REQUIRE(first);
    auto second = listen_on(address, {});
    REQUIRE_FALSE(second);
    CHECK(second.error().sys == EADDRINUSE);
    auto client = connect_to(address);
    REQUIRE(client);
    CHECK_FALSE(client->in_progress);
  }
  auto refused = connect_to(address);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == Kind::refused);
  CHECK(refused.error().side == Side::upstream);
  CHECK(refused.error().retry == Retry::other_endpoint);
  auto after = listen_on(address, {});
  CHECK(after);
  ::unlink(address.ip_text().c_str());
  ::rmdir(folder);
}

TEST_CASE("pipes: bounded, reused, and never with another's bytes in them") {
  PipePool pool(2);
  auto one = pool.take();
  auto two = pool.take();
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->capacity >= 4096);
  CHECK(one->held == 0);
  CHECK_FALSE(pool.take());
  int fd = one->read_end.get();
  pool.give(std::move(one));
  one = pool.take();
  REQUIRE(one);
  CHECK(one->read_end.get() == fd);
  CHECK_FALSE(pool.take());
  REQUIRE(::write(two->write_end.get(), "secret", 6) == 6);
  two->held = 6;
  pool.give(std::move(two));
  auto fresh = pool.take();
  REQUIRE(fresh);
  char byte;
  CHECK(::read(fresh->read_end.get(), &byte, 1) == -1);
  CHECK(errno == EAGAIN);
}

}  // namespace sallyport
