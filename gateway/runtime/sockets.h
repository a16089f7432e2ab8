// Opens the listening sockets of a snapshot, from what the service manager handed over or by binding, one for each
// worker. What it binds itself is given to the service manager to keep, so that it is there again after a restart.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/handed_sockets.h"
#include "runtime/listener.h"
#include "runtime/notify.h"
#include "runtime/snapshot.h"

namespace sallyport {

// One bind of a listener, open.
struct OpenSocket {
  std::shared_ptr<ListenerShare> share;
  // Not shared: each worker has its own, in turn, and may have several. Shared: all workers wait on each.
  std::vector<UniqueFd> fds;
  bool shared = false;
  std::string address;     // as the configuration writes it, or what it was handed over with
  const char* from = "";   // " (kept)": for the log
};

// One bind that could not be opened.
struct FailedBind {
  std::shared_ptr<ListenerShare> share;
  config::Bind bind;
  std::string why;  // the address, and what to do
};

class SocketOpener {
 public:
  SocketOpener(unsigned workers, std::vector<InheritedSocket> inherited);

  // The sockets of this listener's name that were handed over and not taken before. It binds nothing itself then.
  std::vector<OpenSocket> take_over(const std::shared_ptr<ListenerShare>& share);
  // Those that were handed over for no listener's name, and listen where this bind wants to. After take_over() of all
  // listeners.
  std::vector<OpenSocket> take_over_at(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind);
  // Binds, or takes what was kept of the same bind.
  Result<OpenSocket> open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind);
  // Each time listeners may have gone, before others are opened: the service manager gives up what it keeps for those.
  // Until then their ports stay taken, and clients wait there for nobody.
  void forget_all_but(const Snapshot& snapshot);
  // Once all are open: what was kept for listeners that have other sockets now is given up too.
  void forget_the_rest();
  // Inherited sockets that no listener took, by name and address.
  std::vector<std::string> unused() const { return handed_.left(); }
  // What went wrong with this bind, and what to do about it.
  static std::string explain(const config::Bind& bind, const Error& error);

 private:
  Result<OpenSocket> open_beside(OpenSocket out, std::vector<UniqueFd> kept);
  Result<OpenSocket> open_new(OpenSocket out, const config::Bind& bind);
  void give_up(const std::set<std::string>& names);
  void keep(const config::Bind& bind, const std::vector<UniqueFd>& fds, size_t from);

  unsigned workers_;
  HandedSockets handed_;
  std::map<std::string, size_t> stored_;  // names in the store, with how many sockets each
  bool told_of_room_ = false;
};

}  // namespace sallyport
