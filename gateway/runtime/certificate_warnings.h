// What about certificates will surprise, although nothing is wrong: told at the start and by `sallyport check`.
#pragma once
#include <vector>

#include "config/model.h"
#include "runtime/snapshot.h"

namespace sallyport {

// For a snapshot whose services and listeners are built. Without excerpts.
std::vector<config::Fault> certificate_warnings(const Snapshot& snapshot);

}  // namespace sallyport
