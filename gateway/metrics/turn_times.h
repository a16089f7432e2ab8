// How long the turns of a worker's loop take: what is due in one waits for whatever came before it in the same turn.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "metrics/histogram.h"

namespace sallyport {

class TurnTimes {
 public:
  // Times in microseconds of one clock that never goes back.
  void observe(uint64_t now_us, uint64_t took_us) noexcept {
    histogram_.observe_us(took_us);
    const uint64_t span = now_us >> kSpanBits;
    if (span != span_.get()) begin(span);
    Counter& longest = longest_[span & 1];
    if (took_us > longest.get()) longest.set(took_us);
  }
  // The longest of the last minute or two; a scrape sees it whenever it comes. Any thread.
  uint64_t longest_us(uint64_t now_us) const noexcept {
    const uint64_t span = now_us >> kSpanBits;
    const uint64_t written = span_.get();
    if (span == written) return std::max(longest_[0].get(), longest_[1].get());
    return span == written + 1 ? longest_[written & 1].get() : 0;
  }
  const TurnHistogram& histogram() const noexcept { return histogram_; }

 private:
  static constexpr unsigned kSpanBits = 26;  // 67 s
  void begin(uint64_t span) noexcept {
    if (span != span_.get() + 1) longest_[(span + 1) & 1].set(0);
    longest_[span & 1].set(0);
    span_.set(span);
  }

  TurnHistogram histogram_;
  Counter span_;
  std::array<Counter, 2> longest_;  // of this span and of the one before
};

}  // namespace sallyport
