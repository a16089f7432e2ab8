#include <sched.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <memory>

#include "connection.h"
#include "load.h"

namespace bench {
namespace {

constexpr int kPriority = 20;                           // above the server of these requests, which has 10
constexpr auto kStart = std::chrono::milliseconds(10);  // until all threads are there

// For this thread and all that it starts. Without it the figure would be how long this core let the load wait.
bool run_first() {
  sched_param wanted{};
  wanted.sched_priority = kPriority;
  if (sched_setscheduler(0, SCHED_FIFO, &wanted) == 0) return true;
  std::perror("a real-time priority (SCHED_FIFO), which takes CAP_SYS_NICE");
  return false;
}

// std::this_thread::sleep_until() asks for how long, and so sleeps longer by whatever comes in between.
void sleep_until(Clock::time_point when) {
  auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  timespec at{};
  at.tv_sec = static_cast<time_t>(since / 1'000'000'000);
  at.tv_nsec = static_cast<long>(since % 1'000'000'000);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

}  // namespace

int rate(const LoadOptions& options) {
  if (!run_first()) return 1;
  const size_t count = static_cast<size_t>(options.threads);
  const std::string request = "GET " + options.path + " HTTP/1.1\r\nHost: " + options.host + "\r\n\r\n";
  SslContext context(SSL_CTX_new(TLS_client_method()));
  std::vector<std::unique_ptr<Connection>> connections;
  while (connections.size() < count) {
    connections.push_back(std::make_unique<Connection>(Connection::dial(options.port)));
    if (!connections.back()->start_client_tls(context.get(), options.host, nullptr)) {
      std::fprintf(stderr, "connection %zu: no TLS\n", connections.size());
      return 1;
    }
  }
  const auto requests = static_cast<size_t>(options.rate * options.seconds);
  const auto start = Clock::now() + kStart;
  std::atomic<size_t> next = 0;
  return run_threads(options, [&](const LoadOptions&, Clock::time_point, Tally& tally) {
    const size_t mine = next++;
    std::string buffered;
    for (size_t number = mine; number < requests; number += count) {
      std::chrono::duration<double> after(static_cast<double>(number) / options.rate);
      auto due = start + std::chrono::duration_cast<Clock::duration>(after);
      sleep_until(due);
      size_t got = connections[mine]->fetch(request, options.body, buffered);
      if (got == 0) {
        ++tally.errors;
        return;
      }
      // From when it should have gone: what waited for the answer before it has waited, too.
      tally.took(due, Clock::now());
      ++tally.requests;
      tally.bytes += got;
    }
  });
}

}  // namespace bench
