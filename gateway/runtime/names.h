// Keeps the addresses of servers that are written as names current. On the control thread.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/resolver.h"
#include "runtime/snapshot.h"
#include "upstream/name_group.h"

namespace sallyport {

class Names final : private Deadline::Owner {
 public:
  explicit Names(Loop& loop, ResolverOptions options = {})
      : loop_(loop), resolver_(loop, std::move(options)), deadline_(*this) {}

  // Follows the names of this snapshot's servers, from now on. What is known of a name holds for its new servers too.
  void follow(const Snapshot& snapshot);
  // A connect failed: the address may be an old one. Looks again at once, at most once a second for a name.
  void look_again(const std::string& host);
  // Names that are asked for the first time, and have not been answered yet.
  size_t awaited() const noexcept;
  // Lookups that have not been answered yet.
  size_t pending() const noexcept { return pending_; }

 private:
  // SRV records of a name are another question than its addresses.
  using Key = std::pair<bool, std::string>;
  struct Name {
    std::vector<NameGroup> groups;
    std::optional<Resolved> last;  // the last good answer
    uint64_t due = 0;
    uint64_t asked = 0;
    bool busy = false;
    bool failing = false;
    bool crowded = false;
  };
  static Key key_of(const std::string& host, config::Resolve resolve) {
    return {resolve == config::Resolve::srv, host};
  }
  void on_deadline(Deadline& which) override;
  void look_up(const Key& key, Name& name);
  void answered(const Key& key, Result<Resolved> answer);
  void apply(const std::string& host, Name& name);
  void schedule();

  Loop& loop_;
  Resolver resolver_;
  std::map<Key, Name> names_;
  Deadline deadline_;
  size_t pending_ = 0;
};

}  // namespace sallyport
