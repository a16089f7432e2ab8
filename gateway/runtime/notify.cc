#include "runtime/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/format.h"
#include "net/loop.h"

namespace sallyport {

namespace {

constexpr int kPatience = 100;  // ms
constexpr size_t kAtOnce = 200;  // descriptors in one message; the kernel takes 253 (SCM_MAX_FD)

// With the message goes a copy of each descriptor (unix(7), SCM_RIGHTS).
void send_with(int to, const std::string& text, std::span<const int> fds) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kAtOnce)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  }
  sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// sd_notify() waits for as long as the manager does not read; this gives up. A message that is lost is a line of status,
// a READY=1 that the next one repeats, or a socket that is not kept.
void tell(const std::string& text, std::span<const int> fds = {}) {
  const char* place = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (place == nullptr || (place[0] != '/' && place[0] != '@') || std::strlen(place) >= sizeof address.sun_path) {
    sd_pid_notify_with_fds(0, 0, text.c_str(), fds.data(), static_cast<unsigned>(fds.size()));
    return;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, place, std::strlen(place));
  if (place[0] == '@') address.sun_path[0] = '\0';
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(place));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return;
  pollfd room{fd.get(), POLLOUT, 0};
  if (poll(&room, 1, kPatience) > 0) send_with(fd.get(), text, fds);
}

}  // namespace

void notify_ready(const std::string& status) { tell("READY=1\nSTATUS=" + status); }
void notify_reloading() {
  // The time tells systemd which of its requests this answers.
  tell(format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", Loop::precise_now()));
}
void notify_stopping() { tell("STOPPING=1\nSTATUS=stopping"); }
void notify_status(const std::string& status) { tell("STATUS=" + status); }

void notify_alive() { tell("WATCHDOG=1"); }

std::optional<std::chrono::microseconds> watchdog_period() {
  uint64_t period = 0;
  if (sd_watchdog_enabled(0, &period) <= 0) return std::nullopt;
  return std::chrono::microseconds(period);
}

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

void put_into_store(const std::string& name, std::span<const int> fds) {
  while (!fds.empty()) {
    const auto some = fds.first(std::min(fds.size(), kAtOnce));
    tell("FDSTORE=1\nFDNAME=" + name, some);
    fds = fds.subspan(some.size());
  }
}

void take_from_store(const std::string& name) { tell("FDSTOREREMOVE=1\nFDNAME=" + name); }
void wait_for_manager() { sd_notify_barrier(0, 1'000'000); }

std::optional<unsigned> store_room() {
  const char* text = std::getenv("FDSTORE");
  unsigned room = 0;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), room).ec != std::errc()) return std::nullopt;
  return room;
}

}  // namespace sallyport
