// Reads the configuration folder. Every fault of every file is reported; a service with a fault is left out of the
// result. Reads files, binds and resolves nothing. yaml-cpp's exceptions end here. Runs on the control thread.
#pragma once
#include <filesystem>

#include "config/model.h"
#include "config/surroundings.h"

namespace sallyport::config {

inline constexpr const char* kGatewayFile = "gateway.yaml";

// directory: the folder of gateway.yaml (which may be absent: defaults apply).
// previous: what is serving now (nullptr at a start). A service of it that claims a route keeps it against a newcomer;
// one with a fault now is in Config::kept as it was, its routes and listeners with it. With a fault in gateway.yaml,
// everything but faults and gateway_faulty is as if the last good one were still there.
Config load(const std::filesystem::path& directory, const Config* previous = nullptr);

// The same, with files and environment of the caller's own.
Config load(const std::filesystem::path& directory, const Surroundings& surroundings, const Config* previous = nullptr);

}  // namespace sallyport::config
