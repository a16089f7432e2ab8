#include "net/file_watcher.h"

#include <sys/inotify.h>
#include <sys/stat.h>

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

constexpr uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;
// Of a folder where names count: what is written into files wakes nobody. A log may stand there.
constexpr uint32_t kNames =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr uint32_t kFlat = kNames | IN_CLOSE_WRITE;
// Each write counts, so that a file is waited for which is being written.
constexpr uint32_t kAll = kFlat | IN_MODIFY;
constexpr uint32_t kFile = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

// As files have it, which is behind by a part of a tick.
timespec file_clock() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

bool changed_since(const std::string& path, const timespec& then) noexcept {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return true;
  const timespec& at = found.st_ctim;
  return at.tv_sec != then.tv_sec ? at.tv_sec > then.tv_sec : at.tv_nsec >= then.tv_nsec;
}

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

void FileWatcher::find(const fs::path& folder, int depth, Wanted& out) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed);
  if (failed || !fs::is_directory(real, failed) || out.folders.size() >= kMostFolders) return;
  if (!out.folders.insert(real.string()).second || depth > kMostDepth) return;
  for (fs::directory_iterator entry(real, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code unknown;
    const bool symlink = entry->is_symlink(unknown);
    if (entry->is_directory(unknown)) {
      if (symlink || !entry->path().filename().string().starts_with(".")) find(entry->path(), depth + 1, out);
    } else if (symlink) {
      find_file(entry->path(), out);
    }
  }
}

// Its coming and going are events of its folder; and where it, or a folder on the way, is a symlink, so are those of
// what that leads to.
void FileWatcher::find_name(fs::path path, int depth, Wanted& out) {
  if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
  std::error_code failed;
  const fs::path real = fs::canonical(path.parent_path(), failed);
  if (failed || depth > kMostDepth) return;
  out.names[real.string()].insert(path.filename().string());
  if (fs::is_symlink(path, failed)) find_name(real / fs::read_symlink(path, failed), depth + 1, out);
  for (fs::path folder = path.parent_path(); folder.has_relative_path(); folder = folder.parent_path())
    if (fs::is_symlink(folder, failed)) return find_name(folder, depth + 1, out);
}

void FileWatcher::find_file(const fs::path& file, Wanted& out) {
  find_name(file, 0, out);
  std::error_code failed;
  if (const fs::path real = fs::canonical(file, failed); !failed) out.files.insert(real.string());
}

bool FileWatcher::add(const std::string& path, uint32_t what, const Names& names,
                      const std::map<std::string, int>& before) {
  const int number = inotify_add_watch(inotify_.get(), path.c_str(), what);
  if (number < 0) {
    problem_ = path + ": " + std::strerror(errno);
    return true;
  }
  watched_.emplace(path, number);
  if (const auto [place, first] = counting_.emplace(number, Counting{what, names}); !first) {
    // Two paths lead to it. What is asked for last is what the kernel tells.
    Counting& both = place->second;
    both.what |= what;
    inotify_add_watch(inotify_.get(), path.c_str(), both.what);
    if (names.empty() || both.names.empty())
      both.names.clear();
    else
      both.names.insert(names.begin(), names.end());
  }
  // A path may lead to another folder by now, which has a watch of another number.
  const auto known = before.find(path);
  return known != before.end() && known->second == number;
}

bool FileWatcher::watch(const Paths& paths) {
  problem_.clear();
  if (!inotify_) {
    problem_ = "inotify";
    return false;
  }
  Wanted wanted;
  for (const fs::path& folder : paths.folders) {
    find(folder, 0, wanted);
    find_name(folder, 0, wanted);  // for one that is not there yet, or is swapped for another
  }
  for (const fs::path& folder : paths.flat) {
    std::error_code failed;
    if (const fs::path real = fs::canonical(folder, failed); !failed) wanted.flat.insert(real.string());
  }
  for (const fs::path& file : paths.files) find_file(file, wanted);
  const auto before = std::exchange(watched_, {});
  const auto counting_before = std::exchange(counting_, {});
  // What was written into a folder before it was watched has told nobody.
  bool late = false;
  for (const std::string& folder : wanted.folders) late |= !add(folder, kAll, {}, before);
  for (const std::string& folder : wanted.flat)
    if (!wanted.folders.contains(folder)) late |= !add(folder, kFlat, {}, before);
  for (const auto& [folder, names] : wanted.names)
    if (!wanted.folders.contains(folder) && !wanted.flat.contains(folder)) late |= !add(folder, kNames, names, before);
  for (const std::string& file : wanted.files)
    if (!wanted.folders.contains(fs::path(file).parent_path().string()))
      late |= !add(file, kFile, {}, before) && changed_since(file, told_);
  for (const auto& [number, counting] : counting_before)
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
  const Names& names = place->second.names;
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
  told_ = file_clock();
  changed_();
}

}  // namespace sallyport
