// What certificates there are. Which services they serve is worked out once for each state of the configuration.
#pragma once
#include <memory>

#include "admin/json.h"
#include "certs/cert_users.h"
#include "runtime/control.h"

namespace sallyport {

class CertificatesJson {
 public:
  Json make(const std::shared_ptr<const Snapshot>& snapshot);

 private:
  std::weak_ptr<const Snapshot> of_;
  std::unique_ptr<CertUsers> users_;
};

}  // namespace sallyport
