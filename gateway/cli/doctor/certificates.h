// Certificates that end soon, are not valid yet, cover no host that needs them, or have no key.
#pragma once
#include <chrono>

#include "cli/doctor/finding.h"
#include "runtime/snapshot.h"

namespace sallyport {

Findings check_certificates(const Snapshot& snapshot, std::chrono::system_clock::time_point now);

}  // namespace sallyport
