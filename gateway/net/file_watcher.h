// Tells when something in a set of folders has changed, once it has come to rest. On one loop's thread.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/unique_fd.h"
#include "net/poller.h"

namespace sallyport {

class Loop;

// By inotify(7). Not to be destroyed while its loop runs.
class FileWatcher final : private Deadline::Owner, private IoHandler {
 public:
  static constexpr std::chrono::milliseconds kSettle{500};
  // Files that keep changing are looked at all the same after this.
  static constexpr std::chrono::milliseconds kPatience{5'000};

  // changed: once after each time of changes that is over, on the loop's thread. May call watch().
  FileWatcher(Loop& loop, std::function<void()> changed);
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

  // A folder, with those below it or without. Folders that symlinks lead to count as below, and the folder a symlink's
  // target stands in is watched too (certbot's live/, a Kubernetes secret). One with those below it that does not exist
  // is found when it comes; nothing else in its parent counts.
  struct Root {
    std::filesystem::path folder;
    bool below = true;
  };
  // From now on these, and no others; folders that are new since the last time, or others under the same path, count as
  // changed. False: some could not be watched (inotify(7): max_user_watches), which is told by problem().
  bool watch(const std::vector<Root>& roots);
  const std::string& problem() const noexcept { return problem_; }
  size_t folders() const noexcept { return watched_.size(); }

 private:
  void on_io() override;
  void on_deadline(Deadline& which) override;
  void on_event(int number, uint32_t what, std::string_view name);
  void note_change();
  void find(const std::filesystem::path& folder, bool below, int depth, std::set<std::string>& out);
  // Folders by their paths, and the names in each that count.
  using Parents = std::map<std::string, std::set<std::string, std::less<>>>;
  static void find_parents(const std::vector<Root>& roots, Parents& out);

  Loop& loop_;
  std::function<void()> changed_;
  UniqueFd inotify_;
  Watch watch_;
  std::map<std::string, int> watched_;  // folders, and the numbers of their watches
  // Watches by their numbers, and the names in each that count; none: all.
  std::map<int, std::set<std::string, std::less<>>> counting_;
  Deadline settle_{*this};
  bool began_ = false;
  uint64_t since_ms_ = 0;  // of the first change that was not told yet; 0: none
  uint64_t last_ms_ = 0;
  std::string problem_;
};

// What editors and tools leave beside the file they write: swap files, backups, files that become the file by a
// rename. Their coming and going means nothing.
bool is_passing_file(std::string_view name) noexcept;

}  // namespace sallyport
