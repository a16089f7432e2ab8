// A relay whose far ends a test holds, and what a test sends through it.
#pragma once
#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "io_world.h"
#include "transport/relay.h"

namespace sallyport::test {

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
inline bool step(Stream& stream) {
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
inline Run bulk(Between& between, size_t lend, size_t size) {
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

inline void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), 0);
    pollfd room{fd, POLLOUT, 0};
    if (count < 0) ::poll(&room, 1, 1'000);
    bytes.remove_prefix(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  }
}

}  // namespace sallyport::test
