#include "cli/doctor/ports.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

constexpr const char* kSelf = "sallyport";
constexpr unsigned kNetBindService = 10;  // CAP_NET_BIND_SERVICE, capability.h

template <class Number>
bool read_hex(std::string_view text, Number& out) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return problem == std::errc() && end == text.data() + text.size();
}

// "0100007F:1F90", in the order of this machine's bytes, 32 bits at a time.
Address parse_socket_address(std::string_view text, bool v6) {
  const size_t digits = v6 ? 32 : 8;
  uint16_t port = 0;
  if (text.size() != digits + 5 || text[digits] != ':' || !read_hex(text.substr(digits + 1), port)) return {};
  uint32_t words[4] = {};
  for (size_t i = 0; i < digits / 8; ++i)
    if (!read_hex(text.substr(i * 8, 8), words[i])) return {};
  if (v6) {
    sockaddr_in6 out{};
    out.sin6_family = AF_INET6;
    out.sin6_port = htons(port);
    std::memcpy(&out.sin6_addr, words, sizeof words);
    return Address::from(reinterpret_cast<const sockaddr*>(&out), sizeof out);
  }
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = words[0];
  return Address::from(reinterpret_cast<const sockaddr*>(&out), sizeof out);
}

// Whether a socket keeps the bind from being had. Who listens on every IPv6 address takes IPv4 as well, as a rule.
bool in_the_way(const config::Bind& bind, const Address& taken) {
  if (!bind.address.is_ip() || taken.port() != bind.address.port()) return false;
  if (bind.any) return true;
  if (taken.is_any()) return taken.family() == AF_INET6 || bind.address.family() == AF_INET;
  if (bind.address.is_any()) return bind.address.family() == taken.family();
  return bind.address.unmapped().ip_bytes() == taken.unmapped().ip_bytes();
}

std::string file_text(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string who(const SocketOwner& owner) { return format("{} (pid {})", owner.program, owner.pid); }

}  // namespace

std::vector<ListeningSocket> parse_proc_tcp(std::string_view text, bool v6) {
  std::vector<ListeningSocket> out;
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);  // the names of the columns
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
    if (fields.size() < 10 || fields[3] != "0A") continue;
    ListeningSocket socket{parse_socket_address(fields[1], v6), 0};
    const auto inode = parse_number(fields[9]);
    if (socket.address.empty() || !inode) continue;
    socket.inode = *inode;
    out.push_back(std::move(socket));
  }
  return out;
}

std::map<uint64_t, SocketOwner> socket_owners() {
  std::map<uint64_t, SocketOwner> out;
  const auto open = [](const std::string& path) {
    return std::unique_ptr<DIR, int (*)(DIR*)>(opendir(path.c_str()), closedir);
  };
  const auto processes = open("/proc");
  while (const dirent* process = processes ? readdir(processes.get()) : nullptr) {
    const auto pid = parse_number(process->d_name);
    if (!pid) continue;
    const std::string folder = format("/proc/{}", *pid);
    const auto descriptors = open(folder + "/fd");
    while (const dirent* descriptor = descriptors ? readdir(descriptors.get()) : nullptr) {
      char target[64];
      const ssize_t size = readlink((folder + "/fd/" + descriptor->d_name).c_str(), target, sizeof target);
      std::string_view link(target, size > 0 ? static_cast<size_t>(size) : 0);
      if (!link.starts_with("socket:[") || !link.ends_with(']')) continue;
      const auto inode = parse_number(link.substr(8, link.size() - 9));
      if (!inode) continue;
      SocketOwner& owner = out[*inode];
      // systemd hands sockets over and keeps them: who else has one is who listens.
      if (owner.pid != 0 && *pid == 1) continue;
      std::string program = file_text(folder + "/comm");
      while (program.ends_with('\n')) program.pop_back();
      owner = {static_cast<int>(*pid), std::move(program)};
    }
  }
  return out;
}

Findings check_ports(const std::vector<config::Listener>& listeners, const std::vector<ListeningSocket>& sockets,
                     const std::map<uint64_t, SocketOwner>& owners, const RunningGateway& gateway) {
  Findings out;
  for (const config::Listener& listener : listeners) {
    if (listener.off) continue;
    for (const config::Bind& bind : listener.binds) {
      if (!bind.address.is_ip() || bind.address.port() == 0) continue;
      const std::string where = format("{} (listener {})", bind.text, listener.name);
      bool ours = false;
      bool unseen = false;
      std::set<std::string> others;
      for (const ListeningSocket& socket : sockets) {
        if (!in_the_way(bind, socket.address)) continue;
        const auto owner = owners.find(socket.inode);
        if (owner == owners.end())
          unseen = true;
        else if (owner->second.pid == gateway.pid || (gateway.pid == 0 && owner->second.program == kSelf))
          ours = true;
        else if (owner->second.pid == 1)
          ours = true;  // a .socket unit
        else
          others.insert(who(owner->second));
      }
      if (!others.empty()) {
        std::string names;
        for (const std::string& name : others) names += (names.empty() ? "" : ", ") + name;
        out.push_back({Grade::problem, "ports", format("{} is taken by {}", where, names),
                       "stop that program, or bind another address"});
      } else if (unseen && !ours && gateway.answers) {
        out.push_back({Grade::ok, "ports", format("{} is open; by whom only root may see", where), ""});
      } else if (unseen && !ours) {
        out.push_back({Grade::problem, "ports", format("{} is taken; by whom only root may see", where),
                       "`sudo ss -ltnp` shows who it is"});
      } else if (ours) {
        out.push_back({Grade::ok, "ports", format("{} is open", where), ""});
      } else if (gateway.answers) {
        out.push_back({Grade::problem, "ports", format("a gateway runs, but does not listen on {}", where),
                       "its log says why; a changed listener needs `sallyport reload`"});
      } else {
        out.push_back({Grade::ok, "ports", format("{} is free", where), ""});
      }
    }
  }
  return out;
}

uint64_t effective_capabilities(std::string_view status) {
  const size_t at = status.find("CapEff:");
  if (at == std::string_view::npos) return 0;
  std::string_view rest = status.substr(at + 7);
  rest = trim(rest.substr(0, rest.find('\n')));
  uint64_t mask = 0;
  return read_hex(rest, mask) ? mask : 0;
}

Findings check_privileges(const std::vector<config::Listener>& listeners, const Privileges& privileges) {
  std::set<uint16_t> low;
  for (const config::Listener& listener : listeners)
    for (const config::Bind& bind : listener.binds)
      if (!listener.off && bind.address.is_ip() && bind.address.port() != 0 &&
          bind.address.port() < privileges.unprivileged_start)
        low.insert(bind.address.port());
  if (low.empty()) return {{Grade::ok, "privileges", "no port needs a right", ""}};
  std::string ports;
  for (const uint16_t port : low) ports += (ports.empty() ? "" : ", ") + std::to_string(port);
  const char* whose = privileges.of_gateway ? "the gateway" : "this user";
  if (privileges.bind_service) return {{Grade::ok, "privileges", format("{} may open {}", whose, ports), ""}};
  return {{Grade::warning, "privileges",
           format("{} may not open {}: below {} that needs CAP_NET_BIND_SERVICE", whose, ports,
                  privileges.unprivileged_start),
           "fine under our systemd unit or container, which have it, and with socket activation; else see \"Ports and "
           "rights\" in docs/operations.md"}};
}

Findings check_ports_here(const std::vector<config::Listener>& listeners, const RunningGateway& gateway) {
  std::vector<ListeningSocket> sockets = parse_proc_tcp(file_text("/proc/net/tcp"), false);
  for (ListeningSocket& socket : parse_proc_tcp(file_text("/proc/net/tcp6"), true))
    sockets.push_back(std::move(socket));
  Findings out = check_ports(listeners, sockets, socket_owners(), gateway);
  Privileges privileges;
  privileges.of_gateway = gateway.pid != 0;
  const std::string whose = gateway.pid != 0 ? std::to_string(gateway.pid) : "self";
  const std::string status = file_text("/proc/" + whose + "/status");
  privileges.bind_service = (effective_capabilities(status) >> kNetBindService & 1) != 0;
  std::string start = file_text("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  while (start.ends_with('\n')) start.pop_back();
  if (const auto number = parse_number(start)) privileges.unprivileged_start = static_cast<uint16_t>(*number);
  append(out, check_privileges(listeners, privileges));
  return out;
}

}  // namespace sallyport
