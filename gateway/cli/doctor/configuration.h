// The faults of the files (those of certificates are told by check_certificates), and what a running gateway has other
// than they say.
#pragma once
#include <optional>
#include <string>

#include "cli/doctor/finding.h"
#include "runtime/snapshot.h"

namespace sallyport {

Findings check_configuration(const Snapshot& snapshot);
// answer: of POST /api/v1/reload?dry_run=true. Nothing where it cannot be read.
Findings check_differences(const std::string& answer);

}  // namespace sallyport
