// A server with its event core to choose, the load for it, and a check of libuv inside an epoll set: what
// docs/event-core.md measures. Independent of the gateway, so that each core has only what it needs.
#pragma once
#include <sys/epoll.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace poller_bench {

// A request is this long; its first byte asks for what the server does.
inline constexpr size_t kRequest = 64;
inline constexpr size_t kSmallReply = 1024;
inline constexpr size_t kBigReply = 8 * 1024 * 1024;
inline constexpr char kKeep = 'k';   // a small reply, the connection stays
inline constexpr char kClose = 'c';  // a small reply, then close
inline constexpr char kBig = 'b';    // a reply larger than the socket's buffer

[[noreturn]] void fail(std::string_view what);

// libuv inside an edge-triggered epoll set: one turn of the worker, shared by the server and the check.
class Nest {
 public:
  explicit Nest(uv_loop_t* loop);
  int fd() const noexcept { return epoll_; }
  // Waits for sockets, libuv's backend and libuv's timers; gives each socket event to on_event.
  template <typename OnEvent>
  void turn(OnEvent on_event) {
    int count = epoll_wait(epoll_, events_, kBatch, uv_backend_timeout(loop_));
    uv_update_time(loop_);  // before the handlers: a timer they start counts from now
    bool ready = false;
    for (int i = 0; i < count; ++i) {
      if (events_[i].data.ptr == this)
        ready = true;
      else
        on_event(events_[i]);
    }
    if (ready || uv_backend_timeout(loop_) == 0) {
      ++uv_runs_;
      uv_run(loop_, UV_RUN_NOWAIT);
    }
    ++turns_;
  }
  uint64_t turns() const noexcept { return turns_; }
  uint64_t uv_runs() const noexcept { return uv_runs_; }

 private:
  static constexpr int kBatch = 256;
  uv_loop_t* loop_;
  int epoll_;
  uint64_t turns_ = 0;
  uint64_t uv_runs_ = 0;
  epoll_event events_[kBatch];
};

int serve(std::string_view core);                                    // prints its port, never returns by itself
int load(int port, char kind, int active, int idle, long requests);  // one request is one unit
int check();

}  // namespace poller_bench
