// What survives a restart, in the folder `state`: which client had which server (sticky by source), and the key of sticky
// cookies. Files are replaced as a whole, so that one is never seen half written. On the control thread.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/snapshot.h"

namespace sallyport {

class StateFiles {
 public:
  explicit StateFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // 32 bytes, the same at each start. An error: the folder cannot be written, and out is good for this run only.
  Status cookie_secret(std::string& out) const;
  // Tables that have nothing in the file stay empty. now_ms: of the loop. An error: the file cannot be read, or is none
  // of ours; what was good in it counts.
  Status load_sticky(const Snapshot& snapshot, uint64_t now_ms) const;
  // Nothing is written while no table was used.
  Status save_sticky(const Snapshot& snapshot, uint64_t now_ms);

 private:
  std::filesystem::path directory_;
  uint64_t saved_uses_ = 0;
};

// The lines of the file: "service <tab> address <tab> server as 16 hex digits <tab> last use as Unix time in ms".
struct StickyLine {
  std::string_view service;
  std::string client;  // 4 or 16 bytes
  uint64_t server = 0;
  int64_t used_unix_ms = 0;
};
// False: it is none.
bool parse_sticky_line(std::string_view line, StickyLine& out);

}  // namespace sallyport
