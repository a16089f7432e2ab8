#include "net/file_watcher.h"

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "net/loop.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
constexpr int kMostDepth = 16;
constexpr size_t kMostFolders = 10'000;

// Of a folder where only names count: what is written into its files wakes nobody. A log may stand there.
constexpr uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;
constexpr uint32_t kNames =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
// Where all counts. Each write does, so that a file which is being written is waited for.
constexpr uint32_t kAll = kNames | IN_MODIFY | IN_CLOSE_WRITE;

}  // namespace

bool is_passing_file(std::string_view name) noexcept {
  if (name.empty()) return false;  // the folder itself
  if (name.front() == '.' && !name.starts_with("..")) return true;  // "..data" is how Kubernetes swaps a volume
  return name.back() == '~' || (name.front() == '#' && name.back() == '#') || name == "4913" || name.ends_with(".swp") ||
         name.ends_with(".swx") || name.ends_with(".tmp");
}

FileWatcher::FileWatcher(Loop& loop, std::function<void()> changed)
    : loop_(loop), changed_(std::move(changed)), inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  watch_.handler = this;
  if (inotify_ && !loop_.poller().add(inotify_.get(), watch_, false)) inotify_.reset();
}

FileWatcher::~FileWatcher() = default;

void FileWatcher::find(const fs::path& folder, bool below, int depth, std::set<std::string>& out) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed);
  if (failed || !fs::is_directory(real, failed) || out.size() >= kMostFolders) return;
  if (!out.insert(real.string()).second || !below || depth > kMostDepth) return;
  for (fs::directory_iterator entry(real, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code unknown;
    const std::string name = entry->path().filename().string();
    if (entry->is_symlink(unknown)) {
      const fs::path target = fs::canonical(entry->path(), unknown);
      if (unknown) continue;
      if (fs::is_directory(target, unknown)) {
        find(target, true, depth + 1, out);
      } else {
        out.insert(target.parent_path().string());
      }
    } else if (entry->is_directory(unknown) && !name.starts_with(".")) {
      find(entry->path(), true, depth + 1, out);
    }
  }
}

void FileWatcher::find_parents(const std::vector<Root>& roots, Parents& out) {
  for (const Root& root : roots) {
    if (!root.below) continue;
    fs::path folder = root.folder;
    std::error_code failed;
    for (int depth = 0; depth < kMostDepth; ++depth) {
      if (!folder.has_filename()) folder = folder.parent_path();  // written with a slash at its end
      const fs::path parent = fs::canonical(folder.parent_path(), failed);
      if (failed) break;
      out[parent.string()].insert(folder.filename().string());
      if (!fs::is_symlink(folder, failed)) break;
      folder = parent / fs::read_symlink(folder, failed);
    }
  }
}

bool FileWatcher::watch(const std::vector<Root>& roots) {
  problem_.clear();
  if (!inotify_) {
    problem_ = "inotify";
    return false;
  }
  std::set<std::string> wanted;
  for (const Root& root : roots) find(root.folder, root.below, 0, wanted);
  // A folder that is not there yet, or is swapped for another, is an event of its parent; what else is in that is not meant.
  Parents parents;
  find_parents(roots, parents);
  for (const std::string& path : wanted) parents.erase(path);
  for (const auto& [path, names] : parents) wanted.insert(path);
  // A path may lead to another folder by now, which has a watch of another number. Two paths may lead to one folder.
  const auto before = std::exchange(watched_, {});
  const auto counting_before = std::exchange(counting_, {});
  bool late = false;
  for (const std::string& folder : wanted) {
    const auto names = parents.find(folder);
    const bool all = names == parents.end();
    const int number = inotify_add_watch(inotify_.get(), folder.c_str(), (all ? kAll : kNames) | IN_ONLYDIR);
    if (number < 0) {
      problem_ = folder + ": " + std::strerror(errno);
      continue;
    }
    watched_.emplace(folder, number);
    if (const auto [place, first] =
            counting_.emplace(number, all ? std::set<std::string, std::less<>>() : names->second);
        !first) {
      inotify_add_watch(inotify_.get(), folder.c_str(), kAll | IN_ONLYDIR);
      place->second.clear();
    }
    // What was written into a folder before it was watched has told nobody.
    const auto known = before.find(folder);
    late = late || known == before.end() || known->second != number;
  }
  for (const auto& [number, names] : counting_before)
    if (!counting_.contains(number)) inotify_rm_watch(inotify_.get(), number);
  if (std::exchange(began_, true) && late) note_change();
  return problem_.empty();
}

void FileWatcher::on_io() {
  alignas(inotify_event) char buffer[16 * 1024];
  while (watch_.readable) {
    const ssize_t count = read(inotify_.get(), buffer, sizeof buffer);
    if (count <= 0) {
      if (count == 0 || errno != EINTR) watch_.readable = false;
      continue;
    }
    for (const char* at = buffer; at < buffer + count;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      at += sizeof event;
      // The name is filled up with zeros.
      on_event(event.wd, event.mask, event.len == 0 ? std::string_view() : std::string_view(at));
      at += event.len;
    }
  }
}

void FileWatcher::on_event(int number, uint32_t what, std::string_view name) {
  if ((what & IN_Q_OVERFLOW) != 0) return note_change();
  if ((what & IN_IGNORED) != 0) return;
  const auto place = counting_.find(number);
  if (place == counting_.end()) return;  // no longer watched
  const auto& names = place->second;
  const bool counts = names.empty()  ? !is_passing_file(name)
                      : name.empty() ? (what & kGone) != 0
                                     : names.contains(name) && !is_passing_file(name);
  if (counts) note_change();
}

void FileWatcher::note_change() {
  last_ms_ = loop_.now();
  if (since_ms_ != 0) return;
  since_ms_ = last_ms_;
  loop_.arm(settle_, kSettle);
}

void FileWatcher::on_deadline(Deadline&) {
  const uint64_t now = loop_.now();
  const uint64_t quiet = now - last_ms_;
  const auto settle = static_cast<uint64_t>(kSettle.count());
  if (quiet < settle && now - since_ms_ < static_cast<uint64_t>(kPatience.count())) {
    loop_.arm(settle_, std::chrono::milliseconds(settle - quiet));
    return;
  }
  since_ms_ = 0;
  changed_();
}

}  // namespace sallyport
