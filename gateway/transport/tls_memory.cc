#include "transport/tls_memory.h"

#include <openssl/crypto.h>

#include "base/block_cache.h"

namespace sallyport {

void keep_tls_memory() noexcept {
  if constexpr (!kKeepsBlocks) return;
  CRYPTO_set_mem_functions([](size_t size, const char*, int) { return take_block(size); },
                           [](void* memory, size_t size, const char*, int) { return resize_block(memory, size); },
                           [](void* memory, const char*, int) { give_block(memory); });
}

}  // namespace sallyport
