// The families of services and their servers.
#pragma once
#include "metrics/exporter.h"
#include "metrics/families.h"

namespace sallyport {

// What was never used has its state and its counters at 0, but no histograms: there may be thousands.
void export_services(Families& out, const std::vector<ServiceMetrics>& services);
void export_servers(Families& out, const std::vector<ServiceMetrics>& services);

// The sum over the workers of what read(of one) gives.
template <class T, class Read>
uint64_t total(const PerWorker<T>& stats, Read read) {
  uint64_t sum = 0;
  stats.each([&](const T& worker) { sum += read(worker).get(); });
  return sum;
}

inline constexpr const char* kStatusClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace sallyport
