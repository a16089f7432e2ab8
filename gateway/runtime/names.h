// Keeps the addresses of servers that are written as names current. On the control thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/resolver.h"
#include "runtime/snapshot.h"

namespace sallyport {

class Names final : private Deadline::Owner {
 public:
  explicit Names(Loop& loop) : loop_(loop), resolver_(loop), deadline_(*this) {}

  // Follows the names of this snapshot's servers, from now on.
  void follow(const Snapshot& snapshot);
  // A connect failed: the address may be an old one. Looks again soon, at most once a second for a name.
  void look_again(const std::string& host);
  // Lookups that have not been answered yet.
  size_t pending() const noexcept { return pending_; }

 private:
  struct Name {
    std::vector<std::weak_ptr<Endpoint>> endpoints;
    uint64_t due = 0;
    uint64_t asked = 0;
    bool busy = false;
    bool failing = false;
  };
  void on_deadline(Deadline& which) override;
  void look_up(const std::string& host, Name& name);
  void answered(const std::string& host, Result<std::vector<Address>> answer);
  void schedule();

  Loop& loop_;
  Resolver resolver_;
  std::map<std::string, Name> names_;
  Deadline deadline_;
  size_t pending_ = 0;
};

}  // namespace sallyport
