// The demo's configuration folder: a CA, certificates, gateway.yaml and one service file for each mode.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/demo/sample_servers.h"
#include "cli/demo_command.h"

namespace sallyport::demo {

namespace fs = std::filesystem;

// A folder of its own below the system's temporary one, only its owner's. Removed, with all that is in it, when this
// dies.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> make();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  const fs::path& path() const noexcept { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// Where each sample server listens on 127.0.0.1.
struct SamplePorts {
  uint16_t edge = 0, reencrypt = 0, passthrough = 0, http = 0, ssh = 0, tcp = 0;
};

// The certificate authority of the gateway's side, and what it signed: edge.localhost, reencrypt.localhost, and the
// reencrypt server's. The passthrough server has a CA of its own.
struct DemoCertificates {
  fs::path root;              // ca/root.pem
  fs::path passthrough_root;  // of the passthrough server
  SampleTls reencrypt_server;
  SampleTls passthrough_server;
};
Result<DemoCertificates> make_certificates(const fs::path& folder);

Status write_configuration(const fs::path& folder, const DemoOptions& options, uint16_t admin_port,
                           const SamplePorts& samples);

}  // namespace sallyport::demo
