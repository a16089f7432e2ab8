#include "net/file_watcher.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "net/loop.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
constexpr int kMostDepth = 16;
constexpr size_t kMostFolders = 10'000;

}  // namespace

struct FileWatcher::Handle {
  uv_fs_event_t event{};
  FileWatcher* watcher = nullptr;
  std::set<std::string, std::less<>> only;  // names in it that count; empty: all
};

bool is_passing_file(std::string_view name) noexcept {
  if (name.empty()) return false;  // the folder itself
  if (name.front() == '.' && !name.starts_with("..")) return true;  // "..data" is how Kubernetes swaps a volume
  return name.back() == '~' || (name.front() == '#' && name.back() == '#') || name == "4913" || name.ends_with(".swp") ||
         name.ends_with(".swx") || name.ends_with(".tmp");
}

FileWatcher::FileWatcher(Loop& loop, std::function<void()> changed) : loop_(loop), changed_(std::move(changed)) {}

FileWatcher::~FileWatcher() { watch({}); }

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
      // An event of the parent itself, which may be swapped as well, has its own name.
      out[parent.string()].insert({folder.filename().string(), parent.filename().string()});
      if (!fs::is_symlink(folder, failed)) break;
      folder = parent / fs::read_symlink(folder, failed);
    }
  }
}

void FileWatcher::close(Handle* handle) {
  handle->watcher = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->event),
           [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

bool FileWatcher::watch(const std::vector<Root>& roots) {
  std::set<std::string> wanted;
  for (const Root& root : roots) find(root.folder, root.below, 0, wanted);
  // A folder that is not there yet, or is swapped for another, is an event of its parent; what else is in that is not meant.
  Parents parents;
  find_parents(roots, parents);
  for (const std::string& path : wanted) parents.erase(path);
  for (const auto& [path, names] : parents) wanted.insert(path);
  problem_.clear();
  // A path may lead to another folder by now: each is watched anew, and only then no longer as before.
  const std::map<std::string, Handle*> before = std::exchange(watched_, {});
  bool late = false;
  for (const std::string& folder : wanted) {
    auto* handle = new Handle;
    handle->watcher = this;
    if (const auto names = parents.find(folder); names != parents.end()) handle->only = names->second;
    uv_fs_event_init(loop_.uv(), &handle->event);
    handle->event.data = handle;
    const int failed = uv_fs_event_start(
        &handle->event,
        [](uv_fs_event_t* event, const char* name, int, int) {
          auto* own = static_cast<Handle*>(event->data);
          const bool counts = name == nullptr || own->only.empty() || own->only.contains(std::string_view(name));
          if (own->watcher != nullptr && counts) own->watcher->event(name);
        },
        folder.c_str(), 0);
    if (failed == 0) {
      watched_.emplace(folder, handle);
      // What was written into a folder before it was watched has told nobody. One folder is one watch of the kernel's.
      const auto known = before.find(folder);
      late = late || known == before.end() || known->second->event.wd != handle->event.wd;
      continue;
    }
    problem_ = folder + ": " + uv_strerror(failed);
    close(handle);
  }
  for (const auto& [folder, handle] : before) close(handle);
  if (std::exchange(began_, true) && late) event(nullptr);
  return problem_.empty();
}

void FileWatcher::event(const char* name) {
  if (name != nullptr && is_passing_file(name)) return;
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
