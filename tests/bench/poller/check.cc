#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "poller.h"

namespace poller_bench {
namespace {

int g_failures = 0;

void report(bool good, const char* what, const std::string& seen = "") {
  std::printf("%s  %s%s%s\n", good ? "ok    " : "FAILED", what, seen.empty() ? "" : ": ", seen.c_str());
  if (!good) ++g_failures;
}

uint64_t now_us() { return uv_hrtime() / 1000; }
void ignore_event(const epoll_event&) {}

// Turns until done, or for three seconds.
bool turn_until(uv_loop_t& loop, Nest& nest, const bool& done) {
  bool late = false;
  uv_timer_t guard;
  uv_timer_init(&loop, &guard);
  guard.data = &late;
  uv_timer_start(
      &guard, [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; }, 3000, 0);
  while (!done && !late) nest.turn(ignore_event);
  bool closed = false;
  guard.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&guard),
           [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
  while (!closed) nest.turn(ignore_event);
  return done;
}

// One message at a time from another thread, each acknowledged: a lost wake-up would stop it.
void check_async(uv_loop_t& loop, Nest& nest) {
  static constexpr int kMessages = 500;
  static std::atomic<int> heard = 0;
  static bool all = false;
  static uv_async_t async;
  uv_async_init(&loop, &async, [](uv_async_t*) { all = ++heard >= kMessages; });
  std::thread sender([] {
    for (int sent = 0; sent < kMessages;) {
      if (heard.load() < sent) continue;
      ++sent;
      usleep(200);
      uv_async_send(&async);
      while (heard.load() < sent) usleep(20);
    }
  });
  bool done = turn_until(loop, nest, all);
  if (!done) std::_Exit(1);
  sender.join();
  report(done, "uv_async_send from another thread", std::to_string(heard.load()) + " of 500");
  uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr);
}

void check_timers(uv_loop_t& loop, Nest& nest) {
  static int fired = 0;
  static bool done = false;
  static uint64_t started;
  static int64_t earliest = 1'000'000;
  static int64_t latest = 0;
  static uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  started = now_us();
  uv_timer_start(
      &timer,
      [](uv_timer_t*) {
        int64_t off = static_cast<int64_t>(now_us() - started) - 20'000;
        earliest = std::min(earliest, off);
        latest = std::max(latest, off);
        started = now_us();
        done = ++fired == 50;
        uv_update_time(timer.loop);
        uv_timer_start(&timer, timer.timer_cb, 20, 0);
      },
      20, 0);
  uint64_t turns = nest.turns();
  bool all = turn_until(loop, nest, done);
  report(all, "50 timers of 20 ms",
         "off by " + std::to_string(earliest) + " to " + std::to_string(latest) + " us, " +
             std::to_string(nest.turns() - turns) + " turns");
  // A millisecond clock may round a start up to one millisecond down.
  report(earliest > -1000 && latest < 20'000, "timers fire on time");
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

void check_getaddrinfo(uv_loop_t& loop, Nest& nest) {
  static bool done = false;
  static int status = -1;
  uv_getaddrinfo_t request;
  uv_getaddrinfo(
      &loop, &request,
      [](uv_getaddrinfo_t*, int result, addrinfo* found) {
        status = result;
        done = true;
        uv_freeaddrinfo(found);
      },
      "localhost", nullptr, nullptr);
  report(turn_until(loop, nest, done) && status == 0, "uv_getaddrinfo");
}

void check_signal(uv_loop_t& loop, Nest& nest) {
  static bool done = false;
  uv_signal_t signal;
  uv_signal_init(&loop, &signal);
  uv_signal_start(
      &signal, [](uv_signal_t*, int) { done = true; }, SIGUSR1);
  std::thread sender([] { usleep(20'000), kill(getpid(), SIGUSR1); });
  report(turn_until(loop, nest, done), "uv_signal");
  sender.join();
  bool closed = false;
  signal.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&signal),
           [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
  turn_until(loop, nest, closed);
}

void check_child(uv_loop_t& loop, Nest& nest) {
  static bool done = false;
  static int64_t status = -1;
  static uv_process_t child;
  static char name[] = "sh", flag[] = "-c", script[] = "sleep 0.05; exit 7";
  static char* arguments[] = {name, flag, script, nullptr};
  uv_process_options_t options{};
  options.file = name;
  options.args = arguments;
  options.exit_cb = [](uv_process_t*, int64_t result, int) { status = result, done = true; };
  if (uv_spawn(&loop, &child, &options) != 0) fail("uv_spawn");
  report(turn_until(loop, nest, done) && status == 7, "uv_spawn, and the child's exit");
  uv_close(reinterpret_cast<uv_handle_t*>(&child), nullptr);
}

void check_file_event(uv_loop_t& loop, Nest& nest) {
  static bool done = false;
  static uv_fs_event_t event;
  char folder[] = "/tmp/poller_check.XXXXXX";
  if (mkdtemp(folder) == nullptr) fail("mkdtemp");
  uv_fs_event_init(&loop, &event);
  uv_fs_event_start(
      &event, [](uv_fs_event_t*, const char*, int, int) { done = true; }, folder, 0);
  std::string path = std::string(folder) + "/made";
  std::thread writer([&path] { usleep(20'000), close(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); });
  report(turn_until(loop, nest, done), "uv_fs_event");
  writer.join();
  unlink(path.c_str());
  rmdir(folder);
  uv_close(reinterpret_cast<uv_handle_t*>(&event), nullptr);
}

// What an embedder has to know. Each is a property of libuv that Nest::turn relies on or guards against.
void check_pitfalls() {
  uv_loop_t loop;
  uv_loop_init(&loop);
  report(uv_backend_timeout(&loop) == 0, "a loop without active handles says 0 (an embedder would spin)");

  static uv_async_t keeper;  // with a handle that is always active it says -1
  uv_async_init(&loop, &keeper, [](uv_async_t*) {});
  int before = uv_backend_timeout(&loop);
  uv_run(&loop, UV_RUN_NOWAIT);
  report(before == 0 && uv_backend_timeout(&loop) == -1, "a new handle makes it 0 until uv_run(NOWAIT), then -1");

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  static bool polled = false;
  static uv_poll_t poll;
  uv_poll_init(&loop, &poll, ends[0]);
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t*, int, int) { polled = true; });
  if (write(ends[1], "x", 1) != 1) fail("write");
  epoll_event event;
  int outer = epoll_create1(EPOLL_CLOEXEC);
  epoll_event backend{};
  backend.events = EPOLLIN;
  epoll_ctl(outer, EPOLL_CTL_ADD, uv_backend_fd(&loop), &backend);
  report(epoll_wait(outer, &event, 1, 50) == 0, "a handle made since the last uv_run wakes nobody");
  uv_run(&loop, UV_RUN_NOWAIT);
  report(polled && epoll_wait(outer, &event, 1, 50) == 1, "after uv_run it does, and wakes again while its data stay");
  uv_poll_stop(&poll);
  // Its data are still unread.
  uv_run(&loop, UV_RUN_NOWAIT);
  report(epoll_wait(outer, &event, 1, 50) == 0, "a stopped uv_poll wakes nobody");

  static bool closed = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t*) { closed = true; });
  bool asked = uv_backend_timeout(&loop) == 0 && !closed;
  uv_run(&loop, UV_RUN_NOWAIT);
  report(asked && closed, "uv_close: the timeout is 0, and the callback comes only inside uv_run");

  static uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  uv_update_time(&loop);
  usleep(60'000);
  uv_timer_start(
      &timer, [](uv_timer_t*) {}, 50, 0);
  uv_update_time(&loop);
  report(uv_backend_timeout(&loop) == 0,
         "a timer started on a stale clock is due at once (50 ms, 60 ms after the last update)");
  uv_update_time(&loop);
  uv_timer_start(
      &timer, [](uv_timer_t*) {}, 50, 0);
  usleep(60'000);
  int stale = uv_backend_timeout(&loop);
  uv_update_time(&loop);
  report(stale == 50 && uv_backend_timeout(&loop) == 0, "uv_backend_timeout counts from the last uv_update_time",
         std::to_string(stale) + " ms, 60 ms later; 0 once updated");
  uv_timer_stop(&timer);

  static uv_prepare_t prepare;
  static int prepared = 0;
  uv_prepare_init(&loop, &prepare);
  uv_prepare_start(&prepare, [](uv_prepare_t*) { ++prepared; });
  report(uv_backend_timeout(&loop) == -1 && prepared == 0, "uv_prepare and uv_check run with uv_run, not once a turn");
  for (auto* handle : {reinterpret_cast<uv_handle_t*>(&prepare), reinterpret_cast<uv_handle_t*>(&timer),
                       reinterpret_cast<uv_handle_t*>(&keeper)})
    uv_close(handle, nullptr);
  while (uv_run(&loop, UV_RUN_NOWAIT) != 0) {}
  report(uv_loop_close(&loop) == 0, "uv_loop_close once every close callback has run");
  close(outer), close(ends[0]), close(ends[1]);
}

}  // namespace

int check() {
  std::printf("libuv %s\n", uv_version_string());
  check_pitfalls();
  static uv_loop_t loop;
  uv_loop_init(&loop);
  static Nest nest(&loop);
  check_async(loop, nest);
  check_timers(loop, nest);
  check_getaddrinfo(loop, nest);
  check_signal(loop, nest);
  check_child(loop, nest);
  check_file_event(loop, nest);

  static uv_async_t keeper;
  static bool never = false;
  uv_async_init(&loop, &keeper, [](uv_async_t*) {});
  uint64_t turns = nest.turns();
  turn_until(loop, nest, never);
  report(nest.turns() - turns < 10, "an idle worker sleeps", std::to_string(nest.turns() - turns) + " turns in 3 s");
  return g_failures == 0 ? 0 : 1;
}

}  // namespace poller_bench
