// The sockets that the service manager handed over at the start, until a listener takes them. Two kinds: those of .socket
// units, which go to the listener of their name (FileDescriptorName=), or else to the one of their address; and those
// that this program itself gave away to be kept over a restart, which go to the very bind they were opened for.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "net/socket.h"
#include "runtime/notify.h"

namespace sallyport {

class HandedSockets {
 public:
  // What is no listening stream socket is refused, with a line in the log.
  explicit HandedSockets(std::vector<InheritedSocket> inherited);

  std::vector<UniqueFd> take_named(std::string_view listener);
  // Sockets that listen where the bind wants to. For ":443", those of both families.
  std::vector<UniqueFd> take_at(const config::Bind& bind);
  // Those that were kept for this bind. stale: some that bear its name cannot be used, and have been closed.
  struct Kept {
    std::vector<UniqueFd> fds;
    bool stale = false;
  };
  Kept take_kept(const config::Bind& bind);
  // Closes what was kept under any other name than these; the names of what was closed.
  std::set<std::string> drop_kept_but(const std::set<std::string>& wanted);
  // "lan" (192.0.2.1:81): those of .socket units that nobody took.
  std::vector<std::string> left() const;

 private:
  std::vector<InheritedSocket> handed_;
  std::vector<InheritedSocket> kept_;
};

// The name under which the sockets of a bind are kept. Empty: they cannot be.
std::string name_in_store(const config::Bind& bind);

}  // namespace sallyport
