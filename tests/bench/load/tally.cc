#include <algorithm>
#include <cstdio>

#include "load.h"

namespace bench {

void Tally::add(const Tally& other) {
  requests += other.requests;
  bytes += other.bytes;
  errors += other.errors;
  resumed += other.resumed;
  microseconds.insert(microseconds.end(), other.microseconds.begin(), other.microseconds.end());
}

void Tally::took(Clock::time_point start, Clock::time_point end) {
  microseconds.push_back(
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(end - start).count()));
}

void Tally::print(double seconds) {
  std::sort(microseconds.begin(), microseconds.end());
  auto at = [&](double part) {
    return microseconds.empty()
               ? 0
               : microseconds[static_cast<size_t>(part * static_cast<double>(microseconds.size() - 1))];
  };
  std::printf(
      "{\"requests\": %llu, \"bytes\": %llu, \"errors\": %llu, \"resumed\": %llu, \"seconds\": %.3f, \"p50\": %u, "
      "\"p99\": %u, \"p999\": %u}\n",
      static_cast<unsigned long long>(requests), static_cast<unsigned long long>(bytes),
      static_cast<unsigned long long>(errors), static_cast<unsigned long long>(resumed), seconds, at(0.5), at(0.99),
      at(0.999));
}

}  // namespace bench
