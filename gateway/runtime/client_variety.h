// Whether a listener's clients all come from one private address: then something in front hides them, as the port
// forwarding of rootless containers does. One a listener, shared by the workers.
#pragma once
#include <atomic>
#include <cstdint>

#include "base/address.h"

namespace sallyport {

class ClientVariety {
 public:
  static constexpr uint32_t kEnough = 100;  // connections, before anything is said

  // True once: enough came, all from this one address, which is private and not the machine's own.
  bool all_alike(const Address& client) noexcept;

 private:
  std::atomic<bool> settled_{false};
  std::atomic<uint64_t> first_{0};  // a hash
  std::atomic<uint32_t> seen_{0};
};

// 10/8, 172.16/12, 192.168/16, 169.254/16, fc00::/7, fe80::/10.
bool is_private(const Address& address) noexcept;
// This process lives in a container (systemd.io/CONTAINER_INTERFACE: the variable; podman: the file).
bool in_container() noexcept;

}  // namespace sallyport
