#include "config/surroundings.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <set>
#include <system_error>

#include "base/unique_fd.h"

namespace sallyport::config {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostFiles = 10'000;
constexpr int kMostDepth = 16;

Error failed(int sys, const char* what, const fs::path& path) {
  return Error{Kind::config, Side::internal, Retry::no, sys, what, path.string()};
}

// Walks a folder. Directories already seen (by device and inode) are not entered again, so that a link upwards ends.
class Walk {
 public:
  explicit Walk(std::vector<std::string>& out) : out_(out) {}

  Status enter(const fs::path& directory, const std::string& prefix, int depth) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0) return failed(errno, "cannot read the folder", directory);
    if (!S_ISDIR(info.st_mode)) return failed(ENOTDIR, "cannot read the folder", directory);
    if (depth > kMostDepth || !seen_.emplace(info.st_dev, info.st_ino).second) return success();
    std::error_code problem;
    fs::directory_iterator entries(directory, problem);
    for (; !problem && entries != fs::directory_iterator(); entries.increment(problem)) {
      const std::string name = entries->path().filename().string();
      if (name.starts_with('.') || name.starts_with('#') || name.ends_with('~')) continue;
      struct stat entry {};
      // A link to nothing is left for read() to complain about.
      const bool is_directory = ::stat(entries->path().c_str(), &entry) == 0 && S_ISDIR(entry.st_mode);
      if (is_directory) {
        if (Status below = enter(entries->path(), prefix + name + "/", depth + 1); !below) return below;
      } else {
        if (out_.size() >= kMostFiles) return failed(EMFILE, "more than 10000 files in the folder", directory);
        out_.push_back(prefix + name);
      }
    }
    if (problem) return failed(problem.value(), "cannot read the folder", directory);
    return success();
  }

 private:
  std::vector<std::string>& out_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

std::optional<std::string> Surroundings::variable(const std::string& name) const {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<std::string> Surroundings::read(const fs::path& file, size_t most) const {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return failed(errno, "cannot read", file);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failed(errno, "cannot read", file);
  if (S_ISDIR(info.st_mode)) return failed(EISDIR, "cannot read", file);
  if (!S_ISREG(info.st_mode)) return failed(EINVAL, "cannot read what is no regular file", file);
  std::string text;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(errno, "cannot read", file);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > most) return failed(EFBIG, "cannot read", file);
  }
}

bool Surroundings::is_directory(const fs::path& path) const {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<std::vector<std::string>> Surroundings::list(const fs::path& directory) const {
  std::vector<std::string> files;
  if (Status walked = Walk(files).enter(directory, "", 0); !walked) return walked.error();
  return files;
}

}  // namespace sallyport::config
