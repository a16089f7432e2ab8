// What the service manager is told and what it hands over (sd_notify(3), sd_listen_fds(3)). Without a service manager
// nothing happens.
#pragma once
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace sallyport {

void notify_ready(const std::string& status);
// Until the next notify_ready() (sd_notify(3), RELOADING=1).
void notify_reloading();
void notify_stopping();
void notify_status(const std::string& status);
void notify_alive();
// How often notify_alive() is expected at least; none: nobody waits for it.
std::optional<std::chrono::microseconds> watchdog_period();

struct InheritedSocket {
  UniqueFd fd;
  std::string name;  // of LISTEN_FDNAMES; "unknown" where none was given
};
// The sockets handed over at the start, once: close-on-exec and non-blocking from here on.
std::vector<InheritedSocket> inherited_sockets();

// Gives the service manager copies of descriptors to keep, which it hands over at the next start under this name. It
// drops them when there is no room, when the unit is stopped, and on take_from_store().
void put_into_store(const std::string& name, std::span<const int> fds);
void take_from_store(const std::string& name);
// Until the service manager has done what it was told so far, for a second at most.
void wait_for_manager();
// How many descriptors the service manager keeps; none: it does not say (systemd before 254), or keeps nothing.
std::optional<unsigned> store_room();

}  // namespace sallyport
