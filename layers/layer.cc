#include "layers/layer.h"

namespace sallyport {

uint64_t client_key(const Address& address) noexcept { return stable_hash(address.ip_bytes()); }

}  // namespace sallyport
