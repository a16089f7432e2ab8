// The last five minutes, in steps of two seconds, of the gateway and of the services that had traffic in them. Memory is
// bounded: services beyond the most, and those at rest, have no history. Single-threaded.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sallyport {

class History {
 public:
  static constexpr size_t kSteps = 150;
  static constexpr int kStepSeconds = 2;
  static constexpr size_t kRateSteps = 5;
  static constexpr size_t kMostServices = 2000;
  enum Value : uint8_t { requests, errors, connections, received_bytes, sent_bytes, kValues };
  static constexpr std::array<const char*, kValues> kNames{"requests", "errors", "connections", "received_bytes",
                                                          "sent_bytes"};
  using Sums = std::array<uint64_t, kValues>;   // counted so far
  using Rates = std::array<double, kValues>;    // a second, over the last ten
  using Series = std::array<std::vector<uint64_t>, kValues>;  // oldest first, all of one length

  // A step: begin_step(), then each service that was ever used, then end_step(). source tells a service apart from one
  // of its name whose counters began anew.
  void begin_step();
  void add(std::string_view service, const void* source, const Sums& sums);
  // errors is ignored: the gateway's are those of its services.
  void end_step(const Sums& gateway, int64_t unix_ms);

  Rates rates() const;
  Rates rates(std::string_view service) const;
  Series series() const;
  Series series(std::string_view service) const;
  int64_t end_ms() const noexcept { return end_ms_; }  // of the last step; 0: there was none
  uint64_t total_errors() const noexcept { return total_errors_; }
  size_t services_with_history() const noexcept { return rings_; }

 private:
  struct Ring {
    std::array<std::array<float, kValues>, kSteps> steps{};
  };
  struct Track {
    const void* source = nullptr;
    Sums last{};
    std::unique_ptr<Ring> ring;
    uint64_t seen_step = 0;
    uint64_t active_step = 0;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  bool make_room();
  Rates rates_of(const Ring* ring) const;
  Series series_of(const Ring* ring) const;
  size_t known() const noexcept { return step_ < kSteps ? static_cast<size_t>(step_) : kSteps; }

  std::unordered_map<std::string, Track, Hash, std::equal_to<>> tracks_;
  Ring gateway_;
  Sums gateway_last_{};
  uint64_t step_ = 0;  // complete ones
  uint64_t total_errors_ = 0;
  uint64_t errors_before_ = 0;
  size_t rings_ = 0;
  int64_t end_ms_ = 0;
  uint64_t no_room_step_ = 0;  // the last step in which all were busy, plus one
};

}  // namespace sallyport
