// How often something took how long. Bounds are in microseconds, and as Prometheus means them: at most so much. One
// writer, as each Counter has.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "metrics/counter.h"

namespace sallyport {

// From a server in the same rack to what a person gives up at.
inline constexpr std::array<uint32_t, 14> kLatencyBounds{500,     1'000,   2'500,   5'000,     10'000,    25'000,     50'000,
                                                         100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000};
// Of a turn of a worker's loop: what it makes every other client wait.
inline constexpr std::array<uint32_t, 8> kTurnBounds{100, 500, 1'000, 5'000, 10'000, 50'000, 100'000, 1'000'000};

template <const auto& Bounds>
class HistogramOf {
 public:
  static constexpr const auto& kBoundsUs = Bounds;
  void observe_us(uint64_t us) noexcept {
    size_t bucket = 0;
    while (bucket < Bounds.size() && us > Bounds[bucket]) ++bucket;
    buckets[bucket].add();
    sum_us.add(us);
  }
  std::array<Counter, Bounds.size() + 1> buckets;  // each for itself, not cumulative
  Counter sum_us;
};

using Histogram = HistogramOf<kLatencyBounds>;
using TurnHistogram = HistogramOf<kTurnBounds>;

}  // namespace sallyport
