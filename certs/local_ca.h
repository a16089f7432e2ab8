// A certificate authority of one's own, for a LAN without one. Keys are written 0600, files replaced atomically.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport {

struct LocalCa {
  std::filesystem::path certificate;  // ca/root.pem
  std::filesystem::path key;          // ca/root.key
};

// Where it stands below a configuration folder: <directory>/ca, beside certs/ so that the root key is never served.
LocalCa local_ca_paths(const std::filesystem::path& config_directory);
// Makes the root (ECDSA P-256, 10 years, CA:TRUE pathlen 0, keyCertSign+cRLSign, name constraints none). Refuses to
// replace one.
Result<LocalCa> init_ca(const std::filesystem::path& config_directory, const std::string& common_name);
// The SHA-256 of the first certificate in a file, hex: what a device shows before it trusts one.
Result<std::string> fingerprint_of_file(const std::filesystem::path& file);
// A leaf for the names (DNS, wildcards, IPs), P-256, `days` (default 397), serverAuth (and clientAuth when client),
// written as <certs>/<first name>.pem (leaf, then key). Returns the path.
struct LeafRequest {
  std::vector<std::string> names;
  int days = 397;
  bool client = false;
};
Result<std::filesystem::path> issue(const std::filesystem::path& config_directory,
                                    const std::filesystem::path& certs_directory, const LeafRequest& request);

}  // namespace sallyport
