#include "poller.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace poller_bench {

void fail(std::string_view what) {
  std::fprintf(stderr, "%.*s: errno %d\n", static_cast<int>(what.size()), what.data(), errno);
  std::exit(1);
}

Nest::Nest(uv_loop_t* loop) : loop_(loop), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;  // level-triggered: uv_run may leave some of it for the next turn
  event.data.ptr = this;
  if (epoll_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, uv_backend_fd(loop), &event) != 0) fail("epoll");
}

namespace {

constexpr uint64_t kTick = 100;  // ms: the worker's timeouts
char g_buffer[256 * 1024];
char g_reply[kBigReply];
bool g_until_eagain = false;

struct Conn {
  int fd = -1;
  bool readable = false;
  bool writable = true;
  bool hangup = false;
  bool closing = false;
  bool watching_write = false;
  size_t received = 0;
  size_t unsent = 0;
  uv_poll_t poll;
};

enum class Pump { wait, closed };

bool flush(Conn& conn) {
  while (conn.unsent > 0) {
    ssize_t sent = send(conn.fd, g_reply, conn.unsent, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) conn.closing = true, conn.unsent = 0;
      conn.writable = false;
      return conn.unsent == 0;
    }
    conn.unsent -= static_cast<size_t>(sent);
    if (conn.unsent > 0 && !conn.hangup && !g_until_eagain) conn.writable = false;
    if (!conn.writable) return false;
  }
  return true;
}

// Moves bytes until nothing moves. A short recv or send means there is no more, unless the peer has hung up.
Pump pump(Conn& conn) {
  for (;;) {
    if (conn.unsent > 0 && (!conn.writable || !flush(conn))) return Pump::wait;
    if (conn.closing) return Pump::closed;
    if (!conn.readable) return Pump::wait;
    ssize_t got = recv(conn.fd, g_buffer, sizeof g_buffer, 0);
    if (got < 0 && errno == EAGAIN) {
      conn.readable = false;
      return Pump::wait;
    }
    if (got <= 0) return Pump::closed;
    if (static_cast<size_t>(got) < sizeof g_buffer && !conn.hangup && !g_until_eagain) conn.readable = false;
    conn.received += static_cast<size_t>(got);
    for (; conn.received >= kRequest; conn.received -= kRequest) {
      conn.unsent += g_buffer[0] == kBig ? kBigReply : kSmallReply;
      conn.closing = g_buffer[0] == kClose;
    }
  }
}

void latch(Conn& conn, uint32_t events) {
  constexpr uint32_t kGone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & (EPOLLIN | kGone)) != 0) conn.readable = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) conn.writable = true;
  if ((events & kGone) != 0) conn.hangup = true;
}

template <typename OnConn>
void accept_some(int listener, OnConn on_conn) {
  for (int i = 0; i < 16; ++i) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Conn* conn = new Conn;
    conn->fd = fd;
    on_conn(*conn);
  }
}

void end(Conn* conn) {
  close(conn->fd);
  delete conn;
}

void add(int epoll, int fd, uint32_t events, void* data) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = data;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

int listen_on_loopback() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, name, length) != 0 || listen(fd, 4096) != 0 || getsockname(fd, name, &length) != 0) fail("listen");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

uv_timer_t g_tick;

void start_tick(uv_loop_t* loop) {
  uv_timer_init(loop, &g_tick);
  uv_timer_start(
      &g_tick, [](uv_timer_t*) {}, kTick, kTick);
}

// An event of an edge-triggered set.
void edge_event(int epoll, int listener, const epoll_event& event) {
  auto* conn = static_cast<Conn*>(event.data.ptr);
  if (conn == nullptr) {
    accept_some(listener, [epoll](Conn& made) {
      made.writable = false;
      add(epoll, made.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &made);
    });
    return;
  }
  latch(*conn, event.events);
  if (pump(*conn) == Pump::closed) end(conn);
}

// One uv_poll_t a socket, interest changed as needed.
void watch(Conn& conn, int events);

void uv_poll_ready(uv_poll_t* poll, int status, int events) {
  auto* conn = static_cast<Conn*>(poll->data);
  if (status < 0 || (events & UV_READABLE) != 0) conn->readable = true;
  conn->writable = true;
  if (pump(*conn) == Pump::closed) {
    uv_poll_stop(poll);
    close(conn->fd);
    uv_close(reinterpret_cast<uv_handle_t*>(poll),
             [](uv_handle_t* handle) { delete static_cast<Conn*>(handle->data); });
    return;
  }
  bool want_write = conn->unsent > 0;
  if (want_write != conn->watching_write) {
    conn->watching_write = want_write;
    watch(*conn, want_write ? UV_WRITABLE : UV_READABLE);
  }
}

void watch(Conn& conn, int events) { uv_poll_start(&conn.poll, events, uv_poll_ready); }

void poll_per_socket(uv_loop_t* loop, int listener) {
  static uv_poll_t accepting;
  uv_poll_init(loop, &accepting, listener);
  uv_poll_start(&accepting, UV_READABLE, [](uv_poll_t* poll, int, int) {
    int fd = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd);
    accept_some(fd, [poll](Conn& made) {
      uv_poll_init_socket(poll->loop, &made.poll, made.fd);
      made.poll.data = &made;
      watch(made, UV_READABLE);
    });
  });
  uv_run(loop, UV_RUN_DEFAULT);
}

// An edge-triggered set on the uv loop, by one uv_poll_t.
void set_inside_uv(uv_loop_t* loop, int listener) {
  static int set = epoll_create1(EPOLL_CLOEXEC);
  static int accepting = listener;
  add(set, listener, EPOLLIN, nullptr);
  static uv_poll_t poll;
  uv_poll_init(loop, &poll, set);
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t*, int, int) {
    static epoll_event events[256];
    int count = epoll_wait(set, events, 256, 0);
    for (int i = 0; i < count; ++i) edge_event(set, accepting, events[i]);
  });
  uv_run(loop, UV_RUN_DEFAULT);
}

// libuv's backend in the edge-triggered set.
void uv_inside_set(uv_loop_t* loop, int listener) {
  static Nest nest(loop);
  add(nest.fd(), listener, EPOLLIN, nullptr);
  for (;;) nest.turn([listener](const epoll_event& event) { edge_event(nest.fd(), listener, event); });
}

// Level-triggered epoll and nothing else: the floor.
void plain_epoll(int listener) {
  int set = epoll_create1(EPOLL_CLOEXEC);
  add(set, listener, EPOLLIN, nullptr);
  static epoll_event events[256];
  for (;;) {
    int count = epoll_wait(set, events, 256, static_cast<int>(kTick));
    for (int i = 0; i < count; ++i) {
      auto* conn = static_cast<Conn*>(events[i].data.ptr);
      if (conn == nullptr) {
        accept_some(listener, [set](Conn& made) { add(set, made.fd, EPOLLIN, &made); });
        continue;
      }
      conn->readable = (events[i].events & EPOLLIN) != 0;
      conn->writable = true;
      if (pump(*conn) == Pump::closed) {
        end(conn);
        continue;
      }
      bool want_write = conn->unsent > 0;
      if (want_write != conn->watching_write) {
        conn->watching_write = want_write;
        epoll_event event{};
        event.events = want_write ? EPOLLOUT : EPOLLIN;
        event.data.ptr = conn;
        epoll_ctl(set, EPOLL_CTL_MOD, conn->fd, &event);
      }
    }
  }
}

}  // namespace

int serve(std::string_view core) {
  int listener = listen_on_loopback();
  static uv_loop_t loop;
  uv_loop_init(&loop);
  start_tick(&loop);
  g_until_eagain = core == "inside-eagain";
  if (core == "per-socket") poll_per_socket(&loop, listener);
  if (core == "outside") set_inside_uv(&loop, listener);
  if (core == "inside" || g_until_eagain) uv_inside_set(&loop, listener);
  if (core == "plain") plain_epoll(listener);
  fail("no such core");
}

}  // namespace poller_bench
