// The slow half of a reload: reads all files, builds the next snapshot, and tells what differs. Touches nothing that
// serves; any thread.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "net/file_watcher.h"
#include "runtime/reload_report.h"
#include "runtime/snapshot.h"

namespace sallyport {

struct RebuildInput {
  std::filesystem::path directory;
  std::shared_ptr<const Snapshot> serving;
  std::shared_ptr<const TicketKeys> tickets;
  std::string cookie_secret;  // empty: not needed so far
};

struct Rebuilt {
  std::shared_ptr<const Snapshot> snapshot;
  std::string cookie_secret;
  ReloadReport report;  // without what concerns listeners
  std::vector<std::string> warnings;  // settings that only a restart can change
};

Rebuilt rebuild(const RebuildInput& input);

// What a gateway that serves this is made of: whose changes concern it.
FileWatcher::Paths watched_of(const Snapshot& snapshot);
// The key of sticky cookies, where a service has any; empty where none does. A folder that cannot be written is told in
// problem.
std::string cookie_secret_for(const config::Config& config, std::string known, std::string& problem);

}  // namespace sallyport
