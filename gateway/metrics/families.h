// Builds what prometheus-cpp serialises: families one after the other, each with its metrics.
#pragma once
#include <prometheus/metric_family.h>

#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "metrics/histogram.h"

namespace sallyport {

class Families {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;
  // Of one histogram of all workers.
  template <class H>
  struct Sum {
    std::array<uint64_t, std::tuple_size_v<decltype(H::buckets)>> buckets{};
    uint64_t sum_us = 0;
    void add(const H& worker) noexcept {
      for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += worker.buckets[i].get();
      sum_us += worker.sum_us.get();
    }
  };

  void counter(const char* name, const char* help) { begin(name, help, prometheus::MetricType::Counter); }
  void gauge(const char* name, const char* help) { begin(name, help, prometheus::MetricType::Gauge); }
  void histogram(const char* name, const char* help) { begin(name, help, prometheus::MetricType::Histogram); }

  // Of the family that was begun last.
  void add(double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == prometheus::MetricType::Gauge) {
      metric.gauge.value = value;
    } else {
      metric.counter.value = value;
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void add(uint64_t value, Labels labels = {}) { add(static_cast<double>(value), std::move(labels)); }
  template <class H>
  void add(const Sum<H>& sum, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    uint64_t count = 0;
    for (size_t i = 0; i < sum.buckets.size(); ++i) {
      count += sum.buckets[i];
      const double bound = i < H::kBoundsUs.size() ? H::kBoundsUs[i] / 1e6 : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(sum.sum_us) / 1e6;
    families_.back().metric.push_back(std::move(metric));
  }

  const std::vector<prometheus::MetricFamily>& all() const noexcept { return families_; }

 private:
  void begin(const char* name, const char* help, prometheus::MetricType type) {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    families_.push_back(std::move(family));
  }

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace sallyport
