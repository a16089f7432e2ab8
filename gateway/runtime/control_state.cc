// What Control tells of itself.
#include "runtime/control.h"

namespace sallyport {

std::vector<Control::ListenerState> Control::listener_states() const {
  std::vector<ListenerState> out;
  for (const auto& rules : snapshot_->listeners) {
    ListenerState state;
    state.name = rules->name;
    for (const OpenListeners::State& one : listeners_.states())
      if (one.listener == rules->name) state.binds.push_back({one.address, one.error});
    if (const ListenerShare* share = listeners_.share(rules->name))
      state.sessions = share->connections.load(std::memory_order_relaxed);
    out.push_back(std::move(state));
  }
  return out;
}

}  // namespace sallyport
