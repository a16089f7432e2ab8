// Gathers what /metrics shows. On the control thread.
#pragma once
#include <string>

#include "runtime/control.h"

namespace sallyport {

// In Prometheus's text format.
std::string metrics_page(const Control& control);

}  // namespace sallyport
