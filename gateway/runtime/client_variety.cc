#include "runtime/client_variety.h"

#include <unistd.h>

#include <cstdlib>

#include "upstream/endpoint.h"

namespace sallyport {

bool is_private(const Address& address) noexcept {
  const std::string_view bytes = address.ip_bytes();
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() == 4)
    return at(0) == 10 || (at(0) == 172 && (at(1) & 0xf0) == 16) || (at(0) == 192 && at(1) == 168) ||
           (at(0) == 169 && at(1) == 254);
  return bytes.size() == 16 && ((at(0) & 0xfe) == 0xfc || (at(0) == 0xfe && (at(1) & 0xc0) == 0x80));
}

bool in_container() noexcept {
  static const bool inside = [] {
    const char* name = std::getenv("container");
    return (name != nullptr && *name != '\0') || access("/run/.containerenv", F_OK) == 0;
  }();
  return inside;
}

bool ClientVariety::all_alike(const Address& client) noexcept {
  if (settled_.load(std::memory_order_relaxed)) return false;
  const uint64_t hash = stable_hash(client.ip_bytes()) | 1;
  uint64_t first = 0;
  if (!first_.compare_exchange_strong(first, hash) && first != hash) {
    settled_.store(true, std::memory_order_relaxed);
    return false;
  }
  if (seen_.fetch_add(1, std::memory_order_relaxed) + 1 != kEnough) return false;
  settled_.store(true, std::memory_order_relaxed);
  return is_private(client);
}

}  // namespace sallyport
