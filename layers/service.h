// A service, built: what the user wrote, its servers, and what was made of its settings once instead of per request.
#pragma once
#include <memory>
#include <string>

#include "base/text.h"
#include "config/model.h"
#include "metrics/service_stats.h"
#include "upstream/upstream.h"

namespace sallyport {

// Constant once it is in a snapshot, and in the next one too where nothing about it has changed.
struct Service : std::enable_shared_from_this<Service> {
  config::Service config;
  std::unique_ptr<Upstream> upstream;  // null: mode redirect
  std::shared_ptr<ServiceStats> stats = std::make_shared<ServiceStats>();  // of the name: goes on when the service changes
  // Equal for services whose clients must have passed the same certificate check; empty: none is asked for.
  std::string client_rule;
  // Its place in what each worker keeps: no other service of the same snapshot has it.
  size_t slot = 0;
  // What else than its configuration it was made from: files, the listener's port. Equal: need not be made again.
  std::string made_from;
  const char* mode() const noexcept { return config::name_of(config.mode); }
};

}  // namespace sallyport
