#include "certs/atomic_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "base/unique_fd.h"

namespace sallyport {
namespace {

Error failure(int sys, const std::filesystem::path& file) {
  Error error = Error::from_errno(sys, Side::internal, Retry::no, "cannot write");
  error.kind = Kind::config;
  error.detail = file.string();
  return error;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool move_into_place(const char* from, const char* to, Existing existing) {
  if (existing == Existing::replace) return rename(from, to) == 0;
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL) return false;
  // A file system without that call; what is left is a race between two people at one keyboard.
  if (access(to, F_OK) == 0) {
    errno = EEXIST;
    return false;
  }
  return rename(from, to) == 0;
}

// Best effort: a file system without owners has no such trouble either.
void give_to_owner_of(const std::filesystem::path& folder, int fd) {
  struct stat status {};
  if (geteuid() != 0 || stat(folder.c_str(), &status) != 0) return;
  [[maybe_unused]] int done = fchown(fd, status.st_uid, status.st_gid);
}

void sync_folder(const std::filesystem::path& folder) {
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) fsync(fd.get());
}

}  // namespace

Status write_atomically(const std::filesystem::path& file, std::string_view text, mode_t mode, Existing existing) {
  // Hidden, so that no one who watches the folder reads it half written; mkstemp makes it 0600.
  std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  std::string temporary = (folder / ("." + file.filename().string() + ".XXXXXX")).string();
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return failure(errno, file);
  give_to_owner_of(folder, fd.get());
  bool written = write_all(fd.get(), text) && fchmod(fd.get(), mode) == 0 && fsync(fd.get()) == 0 &&
                 move_into_place(temporary.c_str(), file.c_str(), existing);
  if (!written) {
    int sys = errno;
    unlink(temporary.c_str());
    return failure(sys, file);
  }
  sync_folder(folder);
  return success();
}

}  // namespace sallyport
