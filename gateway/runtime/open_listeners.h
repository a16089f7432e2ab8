// The listening sockets of the gateway: opened at the start, handed to the workers, and changed with a reload without
// touching those that stay. What could not be opened is tried again. On the control thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/loop.h"
#include "runtime/sockets.h"
#include "runtime/worker.h"

namespace sallyport {

class OpenListeners final : private Deadline::Owner {
 public:
  // workers: those that will be there when hand_out() is called.
  OpenListeners(Loop& loop, const std::vector<std::unique_ptr<Worker>>& workers) : loop_(loop), workers_(workers) {}

  // At the start. False: none could be opened. Faults are logged.
  bool open(const Snapshot& snapshot, unsigned workers, std::vector<InheritedSocket> inherited);
  // Once, when the workers run.
  void hand_out();

  // What each worker has to do about its sockets, in one message with the snapshot: no client may come in between, under
  // the name of a listener that is not there any more, or not yet.
  struct Steps {
    struct Close {
      std::shared_ptr<ListenerShare> share;
      std::string address;
    };
    struct Move {
      std::shared_ptr<ListenerShare> from;
      std::string address;
      std::shared_ptr<ListenerShare> to;
    };
    std::vector<Close> closes;  // before the snapshot: who waits there is taken under the old one
    std::vector<Move> moves;    // after it
    void before(Worker& worker) const;
    void after(Worker& worker) const;
  };
  Steps begin(const Snapshot& snapshot);
  struct Change {
    std::vector<std::string> opened, closed, failed;  // addresses, as the configuration writes them
  };
  // Once the steps are on their way to the workers: opens what is new.
  Change finish(const Snapshot& snapshot);
  // From now on nothing is opened any more.
  void stop() noexcept { retry_.disarm(); }

  bool degraded() const noexcept { return !failed_.empty(); }
  struct State {
    std::string listener, address;
    std::string error;  // empty: it is open
    bool handed_over = false;
  };
  std::vector<State> states() const;
  // Null: there is none of that name.
  const ListenerShare* share(std::string_view listener) const noexcept;

 private:
  struct Open {
    std::shared_ptr<ListenerShare> share;
    std::string address;  // as the configuration writes it, or what it was handed over with
    bool handed_over = false;
  };
  void on_deadline(Deadline& which) override;
  std::shared_ptr<ListenerShare> share_for(const ListenerRules& rules);
  void deliver(OpenSocket socket);
  bool take_over(const std::shared_ptr<ListenerShare>& share);
  bool take_over_at(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind);
  bool try_open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind, bool tell);
  bool keep_or_move(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind, Steps& steps);
  bool open_missing(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind);

  Loop& loop_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::unique_ptr<SocketOpener> opener_;
  std::map<std::string, std::shared_ptr<ListenerShare>, std::less<>> shares_;
  std::vector<Open> open_;
  std::vector<OpenSocket> not_handed_out_;  // the workers do not run yet
  std::vector<FailedBind> failed_;
  // Between begin() and finish().
  struct Missing {
    std::shared_ptr<ListenerShare> share;
    std::vector<config::Bind> binds;
  };
  std::vector<Open> left_;  // what is open and no bind wants
  std::vector<Missing> missing_;
  std::vector<FailedBind> failed_before_;
  bool running_ = false;
  bool soon_ = false;  // what was in the way is closing
  Deadline retry_{*this};
};

}  // namespace sallyport
