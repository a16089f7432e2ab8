#include "loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace bench_floor {
namespace {

constexpr int kEvents = 512;
constexpr int kBacklog = 4096;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

int new_socket() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("socket");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) give_up("epoll_create1");
}

void Loop::watch(int fd, Watcher* watcher) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = watcher;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) give_up("epoll_ctl");
}

void Loop::run() {
  std::array<epoll_event, kEvents> events;
  for (;;) {
    int count = epoll_wait(epoll_, events.data(), kEvents, -1);
    if (count < 0 && errno != EINTR) give_up("epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      static_cast<Watcher*>(event.data.ptr)->ready(event.events);
    }
    for (Gatherer* gatherer : gathering_) gatherer->turn_ends();
    gathering_.clear();
    retired_.clear();
  }
}

int Loop::listening(uint16_t port) {
  int fd = new_socket();  // what is accepted inherits TCP_NODELAY
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at = loopback(port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || ::listen(fd, kBacklog) != 0) give_up("bind");
  return fd;
}

int Loop::accept_one(int fd) {
  for (;;) {
    int client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0 || errno == EAGAIN) return client;
    if (errno != ECONNABORTED && errno != EINTR) give_up("accept4");
  }
}

int dial(uint16_t port) {
  int fd = new_socket();
  sockaddr_in to = loopback(port);
  // Whatever else goes wrong with it, the first event tells.
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno == EADDRNOTAVAIL) give_up("connect");
  return fd;
}

}  // namespace bench_floor
