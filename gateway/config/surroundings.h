// The outside of the configuration: the environment and the files it names. The one way to both, so that tests and the
// fuzz target can bring their own.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport::config {

class Surroundings {
 public:
  Surroundings() = default;
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;
  virtual ~Surroundings() = default;
  // An environment variable; nullopt if it is not set.
  virtual std::optional<std::string> variable(const std::string& name) const;
  // A regular file of at most `most` bytes. Never waits: a FIFO or a device is an error. sys is ENOENT if there is
  // none.
  virtual Result<std::string> read(const std::filesystem::path& file, size_t most) const;
  virtual bool is_directory(const std::filesystem::path& path) const;
  // Every file below a directory, relative to it with "/" between, in no order. Symlinks are followed, hidden files and
  // folders and what editors leave behind ("x~") are not told. sys is ENOENT if there is no such directory.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) const;
};

}  // namespace sallyport::config
