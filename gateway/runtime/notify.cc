#include "runtime/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/format.h"
#include "net/loop.h"

namespace sallyport {

namespace {

constexpr int kPatience = 100;  // ms

// sd_notify() waits for as long as the manager does not read; this gives up. A message that is lost is a line of status,
// or a READY=1 that the next one repeats.
void tell(const std::string& text) {
  const char* place = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (place == nullptr || (place[0] != '/' && place[0] != '@') || std::strlen(place) >= sizeof address.sun_path) {
    sd_notify(0, text.c_str());
    return;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, place, std::strlen(place));
  if (place[0] == '@') address.sun_path[0] = '\0';
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(place));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return;
  pollfd room{fd.get(), POLLOUT, 0};
  if (poll(&room, 1, kPatience) > 0) send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

void notify_ready(const std::string& status) { tell("READY=1\nSTATUS=" + status); }
void notify_reloading() {
  // The time tells systemd which of its requests this answers.
  tell(format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", Loop::precise_now()));
}
void notify_stopping() { tell("STOPPING=1\nSTATUS=stopping"); }
void notify_status(const std::string& status) { tell("STATUS=" + status); }

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
