#include "upstream/endpoint.h"

namespace sallyport {

uint64_t stable_hash(std::string_view bytes, uint64_t seed) noexcept {
  uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

Endpoint::Endpoint(const config::Server& server, uint16_t default_port)
    : label_(server.text),
      port_(server.port != 0 ? server.port : default_port),
      weight_(server.weight),
      hash_(stable_hash(server.name.empty() ? server.text : server.name)) {
  if (!server.unix_path.empty()) {
    if (auto path = Address::parse("unix:" + server.unix_path)) address_ = *path;
    return;
  }
  if (auto ip = Address::parse_ip(server.host, port_)) {
    address_ = *ip;
  } else {
    host_ = server.host;
  }
}

Address Endpoint::address() const {
  std::lock_guard lock(mutex_);
  return address_;
}

bool Endpoint::set_address(const Address& address) {
  std::lock_guard lock(mutex_);
  if (address_ == address) return false;
  address_ = address;
  generation_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace sallyport
