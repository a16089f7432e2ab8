#include "admin/history.h"

#include <algorithm>
#include <cmath>

namespace sallyport {

void History::begin_step() { errors_before_ = total_errors_; }

void History::add(std::string_view service, const void* source, const Sums& sums) {
  auto found = tracks_.find(service);
  if (found == tracks_.end()) found = tracks_.emplace(std::string(service), Track{}).first;
  Track& track = found->second;
  if (track.source != source) {
    track.source = source;
    track.last = {};
  }
  track.seen_step = step_ + 1;
  std::array<float, kValues> step{};
  bool moved = false;
  for (size_t i = 0; i < kValues; ++i) {
    const uint64_t more = sums[i] > track.last[i] ? sums[i] - track.last[i] : 0;
    moved = moved || more != 0;
    step[i] = static_cast<float>(more);
    if (i == errors) total_errors_ += more;
  }
  track.last = sums;
  if (moved) {
    track.active_step = step_ + 1;
    if (!track.ring && make_room()) {
      track.ring = std::make_unique<Ring>();
      ++rings_;
    }
  }
  if (track.ring) track.ring->steps[step_ % kSteps] = step;
}

// False: everybody who has a history is busy now.
bool History::make_room() {
  if (rings_ < kMostServices) return true;
  if (no_room_step_ == step_ + 1) return false;
  Track* oldest = nullptr;
  for (auto& [name, track] : tracks_)
    if (track.ring && (oldest == nullptr || track.active_step < oldest->active_step)) oldest = &track;
  if (oldest == nullptr || oldest->active_step + kRateSteps > step_) {
    no_room_step_ = step_ + 1;
    return false;
  }
  oldest->ring.reset();
  --rings_;
  return true;
}

void History::end_step(const Sums& gateway, int64_t unix_ms) {
  auto& step = gateway_.steps[step_ % kSteps];
  for (size_t i = 0; i < kValues; ++i) {
    const uint64_t more = gateway[i] > gateway_last_[i] ? gateway[i] - gateway_last_[i] : 0;
    step[i] = static_cast<float>(i == errors ? total_errors_ - errors_before_ : more);
  }
  gateway_last_ = gateway;
  ++step_;
  end_ms_ = unix_ms;
  for (auto it = tracks_.begin(); it != tracks_.end();) {
    Track& track = it->second;
    const bool gone = track.seen_step != step_;
    if (track.ring && (gone || track.active_step + kSteps <= step_)) {
      track.ring.reset();
      --rings_;
    }
    it = gone ? tracks_.erase(it) : std::next(it);
  }
}

History::Rates History::rates_of(const Ring* ring) const {
  Rates out{};
  if (ring == nullptr) return out;
  const size_t steps = std::min(known(), kRateSteps);
  if (steps == 0) return out;
  for (size_t back = 1; back <= steps; ++back)
    for (size_t i = 0; i < kValues; ++i) out[i] += static_cast<double>(ring->steps[(step_ - back) % kSteps][i]);
  for (double& value : out) value /= static_cast<double>(kStepSeconds) * static_cast<double>(steps);
  return out;
}

History::Series History::series_of(const Ring* ring) const {
  Series out;
  const size_t count = known();
  for (size_t i = 0; i < kValues; ++i) {
    out[i].reserve(count);
    for (size_t back = count; back > 0; --back)
      out[i].push_back(ring == nullptr ? 0 : static_cast<uint64_t>(std::llround(ring->steps[(step_ - back) % kSteps][i])));
  }
  return out;
}

History::Rates History::rates() const { return rates_of(&gateway_); }
History::Series History::series() const { return series_of(&gateway_); }

History::Rates History::rates(std::string_view service) const {
  const auto found = tracks_.find(service);
  return rates_of(found == tracks_.end() ? nullptr : found->second.ring.get());
}

History::Series History::series(std::string_view service) const {
  const auto found = tracks_.find(service);
  return series_of(found == tracks_.end() ? nullptr : found->second.ring.get());
}

}  // namespace sallyport
