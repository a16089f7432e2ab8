// The certificates and keys that stand in one file.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "certs/cert_store.h"

namespace sallyport {

struct PemFile {
  std::vector<X509Ptr> certificates;  // in the file's order
  std::vector<PkeyPtr> keys;
  std::vector<std::string> problems;  // without the file's name
};

// Reads one file of at most 1 MiB. A file without a PEM header gives nothing, and no problem. Never asks for a
// passphrase: an encrypted key is a problem. Anything that is not a regular file gives nothing.
PemFile read_pem_file(const std::filesystem::path& path);

}  // namespace sallyport
