// What will surprise although it is no fault. Reads nothing.
#pragma once
#include "config/model.h"
#include "config/source.h"

namespace sallyport::config {

void warn_of_surprises(const Config& config, Report& report);

}  // namespace sallyport::config
