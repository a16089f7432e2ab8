// What the service manager is told and what it hands over (sd_notify(3), sd_listen_fds(3)).
#pragma once
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace sallyport {

void notify_ready(const std::string& status);
// Until the next notify_ready() (sd_notify(3), RELOADING=1).
void notify_reloading();
void notify_stopping();
void notify_status(const std::string& status);

struct InheritedSocket {
  UniqueFd fd;
  std::string name;  // of LISTEN_FDNAMES; "unknown" where none was given
};
// The sockets handed over at the start, once: close-on-exec and non-blocking from here on.
std::vector<InheritedSocket> inherited_sockets();

}  // namespace sallyport
