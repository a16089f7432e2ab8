#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "poller.h"

namespace poller_bench {
namespace {

int dial(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return fd;
}

// Waits for the measuring script, so that what it reads belongs to the requests alone.
void rendezvous(const char* said) {
  std::puts(said);
  std::fflush(stdout);
  char line[16];
  if (std::fgets(line, sizeof line, stdin) == nullptr) std::fputs("unattended\n", stderr);
}

}  // namespace

int load(int port, char kind, int active, int idle, long requests) {
  char request[kRequest];
  std::memset(request, kind, sizeof request);
  const size_t reply = kind == kBig ? kBigReply : kSmallReply;
  static char buffer[64 * 1024];

  std::vector<int> idle_fds;
  for (int i = 0; i < idle; ++i) idle_fds.push_back(dial(port));

  struct Client {
    int fd;
    size_t missing;
  };
  std::vector<Client> clients(static_cast<size_t>(active));
  int set = epoll_create1(EPOLL_CLOEXEC);
  auto begin = [&](Client& client, bool connect_first) {
    if (connect_first) {
      client.fd = dial(port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &client;
      epoll_ctl(set, EPOLL_CTL_ADD, client.fd, &event);
    }
    client.missing = reply;
    if (send(client.fd, request, sizeof request, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof request)) fail("send");
  };
  const bool churn = kind == kClose;
  if (!churn)
    for (auto& client : clients) {
      begin(client, true);
      for (ssize_t got; client.missing > 0; client.missing -= static_cast<size_t>(got))
        if ((got = recv(client.fd, buffer, sizeof buffer, 0)) <= 0) fail("recv");
    }

  rendezvous("ready");
  long begun = 0;
  long done = 0;
  for (auto& client : clients) begin(client, churn), ++begun;
  while (done < requests) {
    epoll_event events[64];
    int count = epoll_wait(set, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      auto& client = *static_cast<Client*>(events[i].data.ptr);
      ssize_t got = recv(client.fd, buffer, sizeof buffer, 0);
      if (got < 0) fail("recv");
      client.missing -= static_cast<size_t>(got);
      if (churn ? got != 0 : client.missing > 0) continue;
      if (client.missing != 0) fail("a reply was cut short");
      ++done;
      if (churn) close(client.fd);
      if (begun < requests) begin(client, churn), ++begun;
    }
  }
  rendezvous("done");
  return 0;
}

}  // namespace poller_bench
