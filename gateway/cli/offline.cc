#include "cli/offline.h"

#include "config/load.h"
#include "runtime/names.h"

namespace sallyport {

std::shared_ptr<const Snapshot> snapshot_offline(const std::filesystem::path& directory) {
  return build_snapshot(config::load(directory), std::make_shared<TicketKeys>());
}

void resolve_servers(const Snapshot& snapshot, std::chrono::milliseconds most) {
  // A lookup that is still under way holds its loop: that of a name server which is silent is left behind with it.
  auto* loop = new Loop;
  auto* names = new Names(*loop);
  names->follow(snapshot);
  run_until(*loop, most, [names] { return names->pending() == 0; });
  if (names->pending() > 0 || Resolver::pending() > 0) return;
  delete names;
  delete loop;
}

}  // namespace sallyport
