// Names to addresses, without blocking: getaddrinfo on libuv's thread pool, so that /etc/hosts, mDNS and whatever else
// the host is set up for work as they do for every other program on it.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace sallyport {

class Loop;

class Resolver {
 public:
  using Answer = std::function<void(Result<std::vector<Address>>)>;

  explicit Resolver(Loop& loop) noexcept : loop_(loop), alive_(std::make_shared<bool>(true)) {}
  ~Resolver() { *alive_ = false; }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Answers once, on the loop's thread, in a later turn; never after the resolver died. At least one address when ok,
  // in the system's order of preference, with the port set.
  void resolve(const std::string& host, uint16_t port, Answer answer);

  // Lookups of this process that have not come back. They cannot be called off, and a loop cannot be closed before they
  // have: with a name server that is silent that takes its timeouts.
  static int pending() noexcept;

 private:
  Loop& loop_;
  std::shared_ptr<bool> alive_;
};

// The same, waiting. For commands that have nothing else to do.
Result<std::vector<Address>> resolve_now(const std::string& host, uint16_t port);

}  // namespace sallyport
