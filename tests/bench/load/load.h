#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

/// What the threads of a load saw; printed as one line of JSON.
struct Tally {
  uint64_t requests = 0;
  uint64_t bytes = 0;
  uint64_t errors = 0;
  uint64_t resumed = 0;
  std::vector<uint32_t> microseconds;

  void add(const Tally& other);
  void took(Clock::time_point start, Clock::time_point end);
  void print(double seconds);
};

struct LoadOptions {
  uint16_t port;
  std::string host;
  int threads;
  double seconds;
  std::string path;
  std::string body;  // what must come back
  bool resume;
  size_t message;  // bytes of a WebSocket message
  double rate;     // requests a second of all connections
};

/// Connect, TLS, one request, close; again and again on each thread.
int handshakes(const LoadOptions& options);
/// One message there and back at a time, on each thread's WebSocket.
int websocket(const LoadOptions& options);

/// Requests at a fixed rate, on a kept connection of each thread: due one after the other, whatever the answers take.
int rate(const LoadOptions& options);

/// Servers, a thread for each connection; they return only when they cannot listen.
int serve(uint16_t port);
int serve_records(uint16_t port, const char* chain, const char* key, const std::string& body);

/// Runs one(options, end, tally) on so many threads and prints the sum.
template <typename Function>
int run_threads(const LoadOptions& options, Function one) {
  std::vector<Tally> tallies(static_cast<size_t>(options.threads));
  std::vector<std::thread> threads;
  auto start = Clock::now();
  auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  for (auto& tally : tallies) threads.emplace_back([&one, &options, &tally, end] { one(options, end, tally); });
  for (auto& thread : threads) thread.join();
  std::chrono::duration<double> took = Clock::now() - start;
  Tally sum;
  for (const auto& tally : tallies) sum.add(tally);
  sum.print(took.count());
  return 0;
}

}  // namespace bench
