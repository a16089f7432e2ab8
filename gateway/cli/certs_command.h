// `sallyport certs init-ca`, `certs issue NAME…` and `certs list`. Each prints to stdout what it did, to stderr what
// went wrong, and returns the exit status.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace sallyport {

struct CertsOptions {
  std::filesystem::path config_directory = "/etc/sallyport";
  std::string ca_name{};             // init-ca: what devices will call it; empty: one made of this machine's name
  std::vector<std::string> names{};  // issue
  int days = 397;                    // issue
  bool client = false;               // issue: good for a client, too
};

int run_certs_init_ca(const CertsOptions& options);
// Into the certificates folder that gateway.yaml names.
int run_certs_issue(const CertsOptions& options);
int run_certs_list(const CertsOptions& options);

}  // namespace sallyport
