// What the kernel knows of this process.
#pragma once
#include "metrics/exporter.h"

namespace sallyport {

// What cannot be read is 0.
ProcessMetrics process_stats();

}  // namespace sallyport
