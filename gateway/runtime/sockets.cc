#include "runtime/sockets.h"

#include <cerrno>

#include "base/format.h"
#include "net/socket.h"

namespace sallyport {

std::string SocketOpener::explain(const config::Bind& bind, const Error& error) {
  std::string where = bind.text;
  if (error.sys == EADDRINUSE)
    return format("{} is taken: another program, or another copy of this one, listens there (ss -ltnp shows which)",
                  where);
  if (error.sys == EACCES && bind.address.is_ip() && bind.address.port() < 1024)
    return format(
        "{} needs a privilege: ports below 1024 want CAP_NET_BIND_SERVICE (podman: --cap-add net_bind_service; "
        "systemd: "
        "AmbientCapabilities=CAP_NET_BIND_SERVICE), a lower net.ipv4.ip_unprivileged_port_start, or socket activation",
        where);
  return format("{}: {}", where, error.text());
}

SocketOpener::SocketOpener(unsigned workers, std::vector<InheritedSocket> inherited)
    : workers_(workers), inherited_(std::move(inherited)) {}

std::vector<OpenSocket> SocketOpener::take_over(const std::shared_ptr<ListenerShare>& share) {
  std::vector<OpenSocket> taken;
  for (InheritedSocket& socket : inherited_) {
    if (!socket.fd || socket.name != share->name) continue;
    OpenSocket open;
    open.share = share;
    open.shared = true;
    open.address = local_address(socket.fd.get()).text() + " (handed over)";
    open.fds.push_back(std::move(socket.fd));
    taken.push_back(std::move(open));
  }
  return taken;
}

Result<OpenSocket> SocketOpener::open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind) {
  OpenSocket out;
  out.share = share;
  out.address = bind.text;
  Address address = bind.address;
  ListenOptions options;
  if (bind.any) {
    address = Address::any_v6(bind.address.port());
    options.v6_only = false;
  }
  auto free = probe_free(address, options.v6_only);
  if (!free && bind.any && free.error().sys == EAFNOSUPPORT) {
    address = Address::any_v4(bind.address.port());  // a kernel without IPv6
    free = probe_free(address, true);
  }
  if (!free) return free.error();
  if (address.family() == AF_UNIX) {
    auto fd = listen_on(address, options);
    if (!fd) return fd.error();
    out.shared = true;
    out.fds.push_back(std::move(*fd));
    return out;
  }
  for (unsigned i = 0; i < workers_; ++i) {
    auto fd = listen_on(address, options);
    if (!fd) return fd.error();
    out.fds.push_back(std::move(*fd));
  }
  return out;
}

std::vector<std::string> SocketOpener::unused() const {
  std::vector<std::string> out;
  for (const InheritedSocket& socket : inherited_)
    if (socket.fd) out.push_back(socket.name);
  return out;
}

}  // namespace sallyport
