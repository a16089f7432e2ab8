// What one worker counts. Each counter has one writer, its worker; whoever asks reads them while they change, and adds
// the workers up.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sallyport {

class Counter {
 public:
  void add(uint64_t count = 1) noexcept { value_.store(get() + count, std::memory_order_relaxed); }
  void subtract(uint64_t count = 1) noexcept { value_.store(get() - count, std::memory_order_relaxed); }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Why a connection or a request was turned away. The words are label values: bounded, none of a client's making.
enum class Rejection : uint8_t {
  unknown_protocol,  // first bytes that no layer of the listener takes
  bad_hello,
  no_route,     // a TLS name, or a plain host, that nobody serves
  bad_request,  // HTTP that breaks a rule
  bad_proxy_header,
  untrusted_proxy,  // a PROXY header from a peer that may not send one, or none from one that must
  access,
  max_connections,
  no_descriptors,
  timeout,
  busy,   // all servers have their max_connections, and the queue is full or its time is over
  flood,  // HTTP/2: more of what costs us and brings nothing than a client may send
  kCount,
};
const char* name_of(Rejection reason) noexcept;

struct Counters {
  Counter connections;    // accepted
  Counter open_sessions;  // a gauge
  Counter requests;
  Counter bytes_in;  // from clients
  Counter bytes_out;
  Counter handshakes;
  Counter handshake_failures;
  Counter handshakes_resumed;
  Counter retries;
  std::array<Counter, 6> sniffed;  // by Sniff
  std::array<Counter, 6> status;   // by status class: [2] is 2xx
  std::array<Counter, static_cast<size_t>(Rejection::kCount)> rejected;
  void reject(Rejection reason) noexcept { rejected[static_cast<size_t>(reason)].add(); }
};

}  // namespace sallyport
