// Opens the listening sockets of a snapshot, from what systemd handed over or by binding, one for each worker.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "runtime/listener.h"
#include "runtime/notify.h"
#include "runtime/snapshot.h"

namespace sallyport {

// One bind of a listener, open.
struct OpenSocket {
  std::shared_ptr<ListenerShare> share;
  std::vector<UniqueFd> fds;  // one per worker; one for all when shared
  bool shared = false;
  std::string address;
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

  // The sockets of this listener's name that were handed over and not taken before.
  std::vector<OpenSocket> take_over(const std::shared_ptr<ListenerShare>& share);
  Result<OpenSocket> open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind);
  // Names of inherited sockets that no listener took.
  std::vector<std::string> unused() const;
  // What went wrong with this bind, and what to do about it.
  static std::string explain(const config::Bind& bind, const Error& error);

 private:
  unsigned workers_;
  std::vector<InheritedSocket> inherited_;
};

}  // namespace sallyport
