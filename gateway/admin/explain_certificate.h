// Which certificate a client is shown for a name.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "runtime/snapshot.h"

namespace sallyport {

struct ShownCertificate {
  std::string file;     // relative to the certificates folder, or absolute
  std::string because;  // "it is for the name", …
  bool valid = true;    // in time
};

// fixed: `certificate:` of the service, an absolute path or empty. nullopt: there is none, and the handshake ends with
// unrecognized_name.
std::optional<ShownCertificate> shown_certificate(const Snapshot& snapshot, const std::string& fixed,
                                                  std::string_view name);

}  // namespace sallyport
