// Names to addresses, without blocking: DNS and /etc/hosts through c-ares, which tells how long an answer is good for;
// and what only the host knows (mDNS, and whatever else nsswitch.conf names) through getaddrinfo on libuv's threads.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "net/dns_answer.h"

namespace sallyport {

class DnsChannel;
class Loop;

// Where the name servers are written, and their port.
struct ResolverOptions {
  std::string resolv_conf = "/etc/resolv.conf";
  uint16_t port = 53;
};

// Looks at resolv.conf with each question, and takes up what has changed.
class Resolver {
 public:
  using Answer = std::function<void(Result<Resolved>)>;

  explicit Resolver(Loop& loop, ResolverOptions options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Both answer once, on the loop's thread, in a later turn; never after the resolver died.
  // At least one address when ok. Those that this host has no route to are left out, unless there are no others.
  void resolve(const std::string& host, uint16_t port, Answer answer);
  // The SRV records of a name, with the addresses of their targets: at least one target has some when ok.
  void resolve_srv(const std::string& name, Answer answer);

  // Calls of getaddrinfo in this process that have not come back. They cannot be called off, and a loop cannot be
  // closed before they have: with a name server that is silent that takes its timeouts.
  static int pending() noexcept;

 private:
  struct Stamp {
    uint64_t device = 0, inode = 0, size = 0, changed_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Service;

  DnsChannel* channel();
  Stamp look_at_file() const;
  void ask_host(const std::string& host, uint16_t port, Answer answer);
  void find_targets(const std::shared_ptr<Service>& service);

  Loop& loop_;
  ResolverOptions options_;
  std::shared_ptr<bool> alive_;
  Stamp stamp_;
  std::unique_ptr<DnsChannel> dns_;
  std::vector<std::unique_ptr<DnsChannel>> retired_;  // of earlier states of resolv.conf: until they have answered
};

// The same, waiting. For commands that have nothing else to do.
Result<Resolved> resolve_now(const std::string& host, uint16_t port);
Result<Resolved> resolve_srv_now(const std::string& name);

}  // namespace sallyport
