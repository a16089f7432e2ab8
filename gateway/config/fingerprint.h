// What a reload compares: equal text for equal effective settings, whatever the spelling or the place in a file.
#pragma once
#include <string>

#include "config/model.h"

namespace sallyport::config {

// May hold what a user keeps secret (header values): never to be logged.
std::string fingerprint_of(const Service& service);

}  // namespace sallyport::config
