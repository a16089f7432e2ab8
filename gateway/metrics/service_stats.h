// What is counted of one service, and of one server: by worker, so that each counter has one writer, and only from the
// first use on, as there may be a hundred thousand services of which few are used.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "metrics/counters.h"

namespace sallyport {

// How often it took how long. Bounds as Prometheus means them: at most so much.
class Histogram {
 public:
  static constexpr std::array<uint32_t, 14> kBoundsMs{1,   2,   5,    10,   25,   50,    100,
                                                      250, 500, 1000, 2500, 5000, 10000, 60000};
  void observe_ms(uint64_t ms) noexcept {
    size_t bucket = 0;
    while (bucket < kBoundsMs.size() && ms > kBoundsMs[bucket]) ++bucket;
    buckets[bucket].add();
    sum_ms.add(ms);
  }
  std::array<Counter, kBoundsMs.size() + 1> buckets;  // each for itself, not cumulative
  Counter sum_ms;
};

// HTTP methods as label values: bounded, none of a client's making.
enum class MethodClass : uint8_t { get, head, post, put, delete_, other, kCount };

// Of one worker. Everything but `open` only grows.
struct ServiceCounters {
  Counter connections;  // relays, and connections that became tunnels (101)
  Counter open;         // a gauge: requests and relays in flight
  // HTTP: by method and status class; [method][0] is what ended without a status.
  std::array<std::array<Counter, 6>, static_cast<size_t>(MethodClass::kCount)> requests;
  Counter errors;  // answers of 5xx, and connections no server took
  Counter retries;
  Counter received_bytes;  // from clients
  Counter sent_bytes;
  Histogram connect;     // to a server, with TLS
  Histogram first_byte;  // of the answer, since the request (HTTP) or the accept
  Histogram total;
};

struct ServerCounters {
  Counter connections;  // made to it
  Counter failures;     // that were not made
  std::array<Counter, 6> responses;  // HTTP, by status class; [0]: an answer that broke off or never came
  Counter received_bytes;            // what clients sent it
  Counter sent_bytes;
  Histogram connect;
  Histogram first_byte;
};

// How many workers there are: set once, before the first is started.
void set_counting_workers(unsigned count) noexcept;
unsigned counting_workers() noexcept;

// One T for each worker, made when one of them first counts. Any thread may read.
template <class T>
class PerWorker {
 public:
  PerWorker() noexcept = default;
  ~PerWorker() { delete[] all_.load(std::memory_order_acquire); }
  PerWorker(const PerWorker&) = delete;
  PerWorker& operator=(const PerWorker&) = delete;

  // worker: below counting_workers(); only that worker may write to what it gets.
  T& of(unsigned worker) {
    T* all = all_.load(std::memory_order_acquire);
    if (all == nullptr) {
      T* fresh = new T[counting_workers()];
      if (all_.compare_exchange_strong(all, fresh, std::memory_order_acq_rel)) {
        all = fresh;
      } else {
        delete[] fresh;
      }
    }
    return all[worker];
  }
  bool used() const noexcept { return all_.load(std::memory_order_acquire) != nullptr; }
  // f(const T&) for each worker, if it was ever used.
  template <class F>
  void each(F f) const {
    const T* all = all_.load(std::memory_order_acquire);
    if (all == nullptr) return;
    for (unsigned i = 0; i < counting_workers(); ++i) f(all[i]);
  }

 private:
  std::atomic<T*> all_{nullptr};
};

using ServiceStats = PerWorker<ServiceCounters>;
using ServerStats = PerWorker<ServerCounters>;

}  // namespace sallyport
