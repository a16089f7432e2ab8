// A worker's hold on one snapshot. Sessions count it with a plain integer: only one worker ever touches it.
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/snapshot.h"
#include "upstream/worker_upstream.h"

namespace sallyport {

struct SnapshotView {
  SnapshotView(std::shared_ptr<const Snapshot> the_snapshot, UpstreamContextOfWorker& context, uint64_t seed)
      : snapshot(std::move(the_snapshot)) {
    for (const auto& service : snapshot->services)
      if (service->upstream) upstreams.push_back(std::make_unique<WorkerUpstream>(*service->upstream, context, seed));
  }
  const ListenerRules* rules(std::string_view listener) const noexcept {
    for (const auto& rules : snapshot->listeners)
      if (rules->name == listener) return rules.get();
    return nullptr;
  }
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::unique_ptr<WorkerUpstream>> upstreams;  // by Upstream::index
  size_t sessions = 0;
  bool retired = false;  // another view has taken its place
};

}  // namespace sallyport
