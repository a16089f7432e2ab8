// Who listens on the ports that the gateway wants, and whether it may listen there.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "cli/doctor/finding.h"
#include "config/model.h"

namespace sallyport {

struct ListeningSocket {
  Address address;
  uint64_t inode = 0;
};
// Those that listen, of /proc/net/tcp or tcp6 (proc(5)).
std::vector<ListeningSocket> parse_proc_tcp(std::string_view text, bool v6);

struct SocketOwner {
  int pid = 0;
  std::string program;
};
// By inode, as far as this user may look.
std::map<uint64_t, SocketOwner> socket_owners();

// What is known about the running gateway; pid 0: none runs, or it does not say.
struct RunningGateway {
  bool answers = false;
  int pid = 0;
};

Findings check_ports(const std::vector<config::Listener>& listeners, const std::vector<ListeningSocket>& sockets,
                     const std::map<uint64_t, SocketOwner>& owners, const RunningGateway& gateway);

struct Privileges {
  bool bind_service = false;           // CAP_NET_BIND_SERVICE, effective
  uint16_t unprivileged_start = 1024;  // net.ipv4.ip_unprivileged_port_start
  bool of_gateway = false;             // of the running gateway; else of this command
};
// The effective capabilities in the text of /proc/PID/status.
uint64_t effective_capabilities(std::string_view status);
Findings check_privileges(const std::vector<config::Listener>& listeners, const Privileges& privileges);

// Both, of this machine.
Findings check_ports_here(const std::vector<config::Listener>& listeners, const RunningGateway& gateway);

}  // namespace sallyport
