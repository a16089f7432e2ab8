// Which services a certificate is served for: by the same choice as a handshake's, for all certificates at once.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "certs/cert_store.h"
#include "config/model.h"

namespace sallyport {

class CertUsers {
 public:
  CertUsers(const config::Config& config, const CertStore& store);
  // In file order; "NAME (to its servers)" where it is shown to servers.
  const std::vector<std::string>& of(const Certificate& certificate) const;
  // Served where no name matches.
  bool is_default(const Certificate& certificate) const { return holds(default_, certificate); }
  // Those of the folder, and what services name by file though it has no name or stands elsewhere.
  const CertSet& all() const noexcept { return all_; }

 private:
  static bool holds(const CertSet& set, const Certificate& certificate);
  const CertSet& in_file(const std::string& file, const CertStore& store);
  CertSet served_by(const config::Service& service, const CertStore& store);

  std::map<std::string, CertSet> files_;
  std::map<std::string, std::vector<std::string>> users_;  // by fingerprint
  CertSet default_;
  CertSet all_;
};

}  // namespace sallyport
