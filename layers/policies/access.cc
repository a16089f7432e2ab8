#include "layers/policies/access.h"

#include <algorithm>

namespace sallyport {

bool admits(const config::Access& access, const Address& client) noexcept {
  auto holds = [&](const Network& network) { return network.contains(client); };
  if (std::any_of(access.deny.begin(), access.deny.end(), holds)) return false;
  return access.allow.empty() || std::any_of(access.allow.begin(), access.allow.end(), holds);
}

}  // namespace sallyport
