// The time of day, as it is written down and shown. What lasts is measured by the loops' clock (net/loop).
#pragma once
#include <chrono>
#include <cstdint>

namespace sallyport {

// Unix time in milliseconds.
inline int64_t unix_ms() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace sallyport
