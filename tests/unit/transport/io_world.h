// A loop whose turns a test takes itself, and sockets joined to each other.
#pragma once
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "catch.h"
#include "net/socket.h"
#include "test_certificates.h"
#include "transport/tls_context.h"
#include "transport/transport.h"
#include "transport/upstream_sessions.h"

namespace sallyport::test {

// On a busy machine the kernel hands over what was sent through TCP some time after send() has returned, even on
// loopback, and a test may not run for a while. So nothing is compared before it was waited for, and nothing is waited
// for longer than this.
constexpr std::chrono::seconds kPatience{20};

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = kPatience) {
  for (auto end = std::chrono::steady_clock::now() + limit; !condition();) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Waits until a raw descriptor has something to tell: bytes, an end, a waiting connection.
inline bool becomes_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, std::chrono::milliseconds(kPatience).count()) == 1;
}

struct FdPair {
  UniqueFd ours, theirs;
};

inline FdPair unix_pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

inline FdPair tcp_pair() {
  auto listener = listen_on(*Address::parse_ip("127.0.0.1", 0), {});
  REQUIRE(listener);
  auto connecting = connect_to(local_address(listener->get()));
  REQUIRE(connecting);
  auto accepted = accept_from(listener->get());
  while (!accepted && accepted.error().sys == EAGAIN) accepted = accept_from(listener->get());
  REQUIRE(accepted);
  return {std::move(accepted->fd), std::move(connecting->fd)};
}

struct IoWorld {
  IoWorld() { std::signal(SIGPIPE, SIG_IGN); }  // as the gateway does: splice has no MSG_NOSIGNAL
  TransportPtr transport(UniqueFd fd) {
    auto made = Transport::make(io, std::move(fd), true);
    if (!made) FAIL(made.error().text());
    return std::move(*made);
  }
  // Events that are there, or the first that come within the time; true if there were any.
  bool wait(int ms = 0) {
    pollfd set{loop.poller().fd(), POLLIN, 0};
    poll(&set, 1, ms);
    bool any = false;
    while (const int count = std::max(loop.poller().wait(0, 0), 0)) {
      loop.poller().dispatch(count);
      any = true;
    }
    return any;
  }
  // Turns until the condition holds.
  template <typename Condition>
  bool until(Condition condition) {
    for (auto end = std::chrono::steady_clock::now() + kPatience; !condition(); wait(1))
      if (std::chrono::steady_clock::now() > end) return false;
    return true;
  }
  Loop loop;
  IoContext io{loop};
};

// Everything there is to read of a raw descriptor at the moment; "" for nothing.
inline std::string slurp(int fd) {
  std::string out;
  char buffer[65536];
  for (ssize_t count; (count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
    out.append(buffer, static_cast<size_t>(count));
  return out;
}
// What the next read of a raw descriptor says: "data", "eof", "again", or an errno's name.
inline std::string state_of(int fd) {
  char byte;
  ssize_t count = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count >= 0) return count == 0 ? "eof" : "data";
  return errno == EAGAIN ? "again" : errno == ECONNRESET ? "reset" : std::to_string(errno);
}

// The next `count` bytes, and what else is there behind them; fewer when they do not come.
inline std::string take(int fd, size_t count) {
  std::string out;
  eventually([&] {
    out += slurp(fd);
    return out.size() >= count;
  });
  return out;
}
// state_of(), once it is this; what it is instead when that does not come.
inline std::string state_becomes(int fd, std::string_view expected) {
  std::string state;
  eventually([&] { return (state = state_of(fd)) == expected; });  // asked once each: an error is told once
  return state;
}

// Fixed buffers: without them the kernel's own choice, which differs by machine and grows to many MiB, is what is
// tested.
inline void make_room(int fd, int size) {
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

inline std::string pattern(size_t size, uint32_t seed = 1) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return out;
}

// Contexts of a server "a.example.tld", and of a client that trusts it.
struct TlsWorld {
  Made root = make_certificate({.common_name = "Test Root", .ca = true});
  Made leaf = make_certificate({.sans = "DNS:a.example.tld"}, &root);
  TemporaryFolder folder;
  std::string ca = folder.write("ca.pem", pem(root.certificate));
  KeyPair pair{leaf.certificate.get(), {}, leaf.key.get()};
  SslCtxPtr server = *make_server_context({.certificates = {&pair, 1}});
  SslCtxPtr client = *make_upstream_context({.ca_file = ca});
};
inline TlsWorld& tls_world() {
  static TlsWorld made;
  return made;
}

}  // namespace sallyport::test
