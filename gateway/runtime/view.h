// A worker's hold on one snapshot. Sessions count it with a plain integer: only one worker ever touches it.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "runtime/snapshot.h"

namespace sallyport {

struct SnapshotView {
  explicit SnapshotView(std::shared_ptr<const Snapshot> the_snapshot) : snapshot(std::move(the_snapshot)) {}
  const ListenerRules* rules(std::string_view listener) const noexcept {
    for (const auto& rules : snapshot->listeners)
      if (rules->name == listener) return rules.get();
    return nullptr;
  }
  std::shared_ptr<const Snapshot> snapshot;
  size_t sessions = 0;
  bool retired = false;     // another view has taken its place
  uint64_t retired_ms = 0;  // when
  bool swept = false;       // whose listeners are gone have been ended
};

}  // namespace sallyport
