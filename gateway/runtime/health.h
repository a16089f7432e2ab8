// Asks the servers of all services whether they can be used, each in its own rhythm, and tells what changes. On the
// control thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "base/list.h"
#include "net/loop.h"
#include "runtime/snapshot.h"
#include "transport/transport.h"
#include "upstream/health_check.h"

namespace sallyport {

class Health final : private Deadline::Owner {
 public:
  struct Hooks {
    // A server went down whose service has `on_down: close`.
    std::function<void(const std::shared_ptr<Endpoint>&)> on_down;
    // A connect failed: the address may be an old one.
    std::function<void(const Endpoint&)> connect_failed;
    // What the log is told as well, once for each change. server: null, where it is the service as a whole that has no
    // server left, or has one again. down_ms: how long a server was down, 0: not known.
    std::function<void(const std::string& service, const Endpoint* server, bool good, const std::string& reason,
                       uint64_t down_ms)>
        changed = {};
  };
  // How many checks run at once; others wait for their turn.
  static constexpr size_t kMostAtOnce = 64;

  Health(Loop& loop, Hooks hooks);
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // Checks the servers of this snapshot from now on. Servers that stay keep their state and their rhythm.
  void follow(const Snapshot& snapshot);
  // Checks that are running now.
  size_t running() const noexcept { return running_; }

 private:
  class Target;
  // What is known of a service as a whole.
  struct Group {
    std::shared_ptr<const HealthPlan> plan;
    std::string fingerprint;
    std::vector<std::shared_ptr<Endpoint>> endpoints;
    bool out = false;                          // no server was left, and that was told
    std::set<const Endpoint*> out_by_traffic;  // and that was told
  };
  using Targets = std::map<const Endpoint*, std::unique_ptr<Target>>;

  void on_deadline(Deadline& which) override;
  void keep_watch(Targets& old, Group& group, bool same_rules);
  void begin(Target& target);
  void ended();
  void look_at(Group& group);
  void look_at_traffic(Group& group);
  void tell(const Group& group, const Endpoint* server, bool good, const std::string& reason, uint64_t down_ms);
  std::chrono::milliseconds jittered(std::chrono::milliseconds time);

  Loop& loop_;
  Hooks hooks_;
  std::unique_ptr<IoContext> io_;                         // made with the first check
  std::map<std::string, std::unique_ptr<Group>> groups_;  // by service
  Targets targets_;
  List<Target> waiting_;
  Deadline second_{*this};
  std::minstd_rand random_{std::random_device{}()};
  uint64_t followed_ms_ = 0;
  size_t running_ = 0;
  bool filling_ = false;
};

}  // namespace sallyport
