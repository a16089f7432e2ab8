// What is counted of one listener, service and server: by worker, so that each counter has one writer, and only from the
// first use on, as there may be a hundred thousand services of which few are used.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "metrics/counters.h"
#include "metrics/histogram.h"

namespace sallyport {

// HTTP methods as label values: bounded, none of a client's making.
enum class MethodClass : uint8_t { get, head, post, put, delete_, other, kCount };
const char* name_of(MethodClass method) noexcept;
MethodClass method_class(std::string_view method) noexcept;

// What each of these holds is of one worker, and on cache lines of its own. Everything but gauges only grows.

struct alignas(64) ListenerCounters {
  Counter connections;  // accepted
  Counter open;         // a gauge
  Counter requests;
  Counter received_bytes;  // from clients
  Counter sent_bytes;
  std::array<Counter, 6> responses;  // by status class
  std::array<Counter, 6> sniffed;    // by Sniff
  std::array<Counter, static_cast<size_t>(Rejection::kCount)> rejected;
  std::array<Counter, static_cast<size_t>(TlsVersion::kCount)> handshakes;
  Counter handshakes_resumed;
  std::array<Counter, static_cast<size_t>(HandshakeFailure::kCount)> handshake_failures;
};

struct alignas(64) ServiceCounters {
  Counter connections;  // relays, and requests that became tunnels (WebSocket)
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

// Bytes belong to the server that had the request last: the sum over the servers is what clients and servers said to
// each other.
struct alignas(64) ServerCounters {
  Counter connections;  // made to it
  Counter failures;     // that were not made
  Counter requests;     // HTTP, sent to it; once more for each time one is sent again
  std::array<Counter, 6> responses;  // by status class; [0]: an answer that broke off or never came
  Counter received_bytes;            // what clients sent it
  Counter sent_bytes;
  Counter idle;               // a gauge: connections kept for the next request
  Counter http2_connections;  // a gauge: open ones
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
  T& of(unsigned worker) const {
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
  mutable std::atomic<T*> all_{nullptr};
};

using ListenerStats = PerWorker<ListenerCounters>;
using ServiceStats = PerWorker<ServiceCounters>;
using ServerStats = PerWorker<ServerCounters>;

}  // namespace sallyport
