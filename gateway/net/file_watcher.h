// Tells when something in a set of folders has changed, once it has come to rest. On one loop's thread.
#pragma once
#include <chrono>
#include <ctime>
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

  // Where a symlink leads is watched too (certbot's live/, a Kubernetes secret).
  using List = std::vector<std::filesystem::path>;
  struct Paths {
    List folders;  // all in them, with those below and those that symlinks lead to; one that is not there is found when
                   // it comes
    List flat;     // folders: what comes, goes or has been written in them, and nothing below; a log that is open wakes
                   // nobody
    List files;    // they alone, whatever else is in their folders
  };
  // From now on these, and no others. Folders that are new since the last time, or others under the same path, count as
  // changed. False: some could not be watched (inotify(7): max_user_watches), which is told by problem().
  bool watch(const Paths& paths);
  const std::string& problem() const noexcept { return problem_; }
  size_t watches() const noexcept { return watched_.size(); }

 private:
  void on_io() override;
  void on_deadline(Deadline& which) override;
  void on_event(int number, uint32_t what, std::string_view name);
  void note_change();
  using Names = std::set<std::string, std::less<>>;
  struct Wanted {
    std::set<std::string> folders, flat, files;
    std::map<std::string, Names> names;  // of folders: what comes and goes under these names
  };
  // What the kernel was asked for, and the names that count; none: all.
  struct Counting {
    uint32_t what;
    Names names;
  };
  static void find(const std::filesystem::path& folder, int depth, Wanted& out);
  static void find_name(std::filesystem::path path, int depth, Wanted& out);
  static void find_file(const std::filesystem::path& file, Wanted& out);
  // False: nothing is known of it that was watched before.
  bool add(const std::string& path, uint32_t what, const Names& names, const std::map<std::string, int>& before);

  Loop& loop_;
  std::function<void()> changed_;
  UniqueFd inotify_;
  Watch watch_;
  std::map<std::string, int> watched_;  // folders and files, and the numbers of their watches
  std::map<int, Counting> counting_;    // watches by their numbers
  Deadline settle_{*this};
  bool began_ = false;
  uint64_t since_ms_ = 0;  // of the first change that was not told yet; 0: none
  uint64_t last_ms_ = 0;
  timespec told_{};  // when changed_ was called last, by the clock of files
  std::string problem_;
};

// What editors and tools leave beside the file they write: swap files, backups, files that become the file by a
// rename. Their coming and going means nothing.
bool is_passing_file(std::string_view name) noexcept;

}  // namespace sallyport
