// The workers' counters in Prometheus's text format.
#pragma once
#include <string>
#include <vector>

#include "metrics/counters.h"

namespace sallyport {

// Adds the workers up. Every name begins with sallyport_; labels are bounded.
std::string export_metrics(const std::vector<const Counters*>& workers, uint64_t log_lines_dropped);

}  // namespace sallyport
