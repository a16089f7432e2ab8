// Files that stand there whole or not at all.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace sallyport {

enum class Existing : uint8_t { replace, refuse };

// Writes a temporary file beside it, syncs it, and moves it into place; a reader sees the old file or the new one, also
// after a power cut. refuse: an existing file is left as it is, and is an error. Written by root, it belongs to whom
// the folder belongs to, so that a gateway that is not root can read what root put there.
Status write_atomically(const std::filesystem::path& file, std::string_view text, mode_t mode, Existing existing);

}  // namespace sallyport
