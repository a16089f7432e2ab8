// Whether the names that clients use lead to this machine.
#pragma once
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "cli/doctor/finding.h"
#include "config/model.h"

namespace sallyport {

// Exact names of services that clients look up, each once: no wildcards, no addresses.
std::vector<std::string> names_of_clients(const std::vector<config::Service>& services);

struct NameAnswer {
  std::string host;
  Result<std::vector<Address>> addresses;
};
// own: the addresses of this machine's interfaces.
Findings check_names(const std::vector<NameAnswer>& answers, const std::vector<Address>& own);

std::vector<Address> own_addresses();

}  // namespace sallyport
