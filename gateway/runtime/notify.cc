#include "runtime/notify.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace sallyport {

void notify_ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void notify_stopping() { sd_notify(0, "STOPPING=1\nSTATUS=stopping"); }
void notify_status(const std::string& status) { sd_notify(0, ("STATUS=" + status).c_str()); }

std::vector<InheritedSocket> inherited_sockets() {
  std::vector<InheritedSocket> out;
  char** names = nullptr;
  int count = sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    int fd = SD_LISTEN_FDS_START + i;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    out.push_back({UniqueFd(fd), names != nullptr && names[i] != nullptr ? names[i] : "unknown"});
  }
  if (names != nullptr) {
    for (char** name = names; *name != nullptr; ++name) free(*name);
    free(names);
  }
  return out;
}

}  // namespace sallyport
