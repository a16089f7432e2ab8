// A service, built: what the user wrote, its servers, and what was made of its settings once instead of per request.
#pragma once
#include <memory>
#include <string>

#include "base/text.h"
#include "config/model.h"
#include "metrics/service_stats.h"
#include "upstream/upstream.h"

namespace sallyport {

struct Service {
  config::Service config;
  std::unique_ptr<Upstream> upstream;  // null: mode redirect
  std::shared_ptr<ServiceStats> stats;  // of the name: goes on when the service changes
  // Equal for services whose clients must have passed the same certificate check; empty: none is asked for.
  std::string client_rule;
  const char* mode() const noexcept { return config::name_of(config.mode); }
};

}  // namespace sallyport
