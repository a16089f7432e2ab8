// A number that one thread writes and any thread may read while it changes.
#pragma once
#include <atomic>
#include <cstdint>

namespace sallyport {

class Counter {
 public:
  void add(uint64_t count = 1) noexcept { value_.store(get() + count, std::memory_order_relaxed); }
  void subtract(uint64_t count = 1) noexcept { value_.store(get() - count, std::memory_order_relaxed); }
  void set(uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace sallyport
