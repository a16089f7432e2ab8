// The state of the gateway as a whole.
#pragma once
#include <cstdint>

#include "admin/history.h"
#include "admin/json.h"
#include "admin/service_json.h"
#include "runtime/control.h"

namespace sallyport {

struct ServiceCounts {
  size_t total = 0, up = 0, degraded = 0, down = 0;
  void count(ServiceState state) noexcept;
};
ServiceCounts count_services(const Snapshot& snapshot);

// started: Unix time in ms.
Json status_json(const Control& control, const History& history, const ServiceCounts& services, int64_t started);

}  // namespace sallyport
