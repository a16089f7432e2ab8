#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>

#include "relay_world.h"

namespace sallyport {

using namespace test;

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

}  // namespace sallyport
