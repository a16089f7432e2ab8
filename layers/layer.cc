#include "layers/layer.h"

#include "net/socket.h"

namespace sallyport {

const Address& Client::local() {
  if (local_.empty()) local_ = local_address(transport->fd()).unmapped();
  return local_;
}

uint64_t client_key(const Address& address) noexcept { return stable_hash(address.ip_bytes()); }

}  // namespace sallyport
