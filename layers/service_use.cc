#include "layers/service_use.h"

#include <algorithm>

namespace sallyport {

bool ServiceUse::gone(const Endpoint* server, uint64_t now_ms, uint64_t since_ms) const noexcept {
  if (!retired() || now_ms - of_->retired_ms < since_ms) return false;
  const Service* successor = of_->successor.get();
  if (successor == nullptr || !successor->upstream) return true;
  if (server == nullptr) return false;
  const auto& servers = successor->upstream->endpoints;
  return std::none_of(servers.begin(), servers.end(),
                      [&](const auto& endpoint) { return endpoint->identity() == server->identity(); });
}

}  // namespace sallyport
