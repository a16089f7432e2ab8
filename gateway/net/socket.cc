#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "base/system_calls.h"

namespace sallyport {
namespace {

void set_option(int fd, int level, int name, int value) noexcept { setsockopt(fd, level, name, &value, sizeof value); }

Error failed(const char* what) noexcept { return Error::from_errno(errno, Side::internal, Retry::no, what); }

Result<UniqueFd> open_bound(const Address& address, bool reuse_port, bool v6_only, bool freebind) {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed("socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.is_ip()) {
    if (reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (freebind) set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
    if (address.family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0);
  }
  if (bind(fd.get(), address.sa(), address.length()) != 0) return failed("bind");
  return fd;
}

// A unix socket file that nobody accepts on is a leftover.
void remove_leftover(const Address& address) {
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe) return;
  if (connect(probe.get(), address.sa(), address.length()) != 0 && errno == ECONNREFUSED)
    unlink(address.ip_text().c_str());
}

}  // namespace

Result<UniqueFd> listen_on(const Address& address, const ListenOptions& options) {
  if (address.family() == AF_UNIX) remove_leftover(address);
  auto fd = open_bound(address, options.reuse_port, options.v6_only, options.freebind);
  if (!fd) return fd;
  if (::listen(fd->get(), options.backlog) != 0) return failed("listen");
  return fd;
}

Status probe_free(const Address& address, bool v6_only) {
  if (address.family() == AF_UNIX) return success();
  auto fd = open_bound(address, false, v6_only, true);
  if (!fd) return fd.error();
  // With SO_REUSEADDR two sockets may be bound, but not both listening.
  if (::listen(fd->get(), 1) != 0) return failed("listen");
  return success();
}

Result<Accepted> accept_from(int listener) noexcept {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  UniqueFd fd(call::accept(listener, reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return failed("accept");
  return Accepted{std::move(fd), Address::from(reinterpret_cast<sockaddr*>(&storage), length)};
}

namespace {

// The address of somebody else as our own: IP_TRANSPARENT (ip(7)), which needs CAP_NET_ADMIN, and a network that routes
// the answers through here.
Status bind_transparent(int fd, const Address& source, int family) {
  if (source.family() != family)
    return Error{Kind::config, Side::internal, Retry::no, 0, "transparent: client and server differ in their IP version", {}};
  int on = 1;
  const bool v6 = family == AF_INET6;
  if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) != 0)
    return failed("transparent: IP_TRANSPARENT");
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  const Address any_port = source.with_port(0);
  if (bind(fd, any_port.sa(), any_port.length()) != 0) return failed("transparent: bind");
  return success();
}

}  // namespace

Result<Connecting> connect_to(const Address& address, const Address* source) noexcept {
  Connecting out;
  out.fd = UniqueFd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!out.fd) return failed("socket");
  if (address.is_ip()) {
    set_no_delay(out.fd.get());
    if (source != nullptr)
      if (auto bound = bind_transparent(out.fd.get(), *source, address.family()); !bound) return bound.error();
  }
  if (call::connect(out.fd.get(), address.sa(), address.length()) == 0) return out;
  if (errno != EINPROGRESS) return Error::from_errno(errno, Side::upstream, Retry::other_endpoint, "connect");
  out.in_progress = true;
  return out;
}

int socket_error(int fd) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

Address local_address(int fd) noexcept {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return Address::from(reinterpret_cast<sockaddr*>(&storage), length);
}

Address peer_address(int fd) noexcept {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return Address::from(reinterpret_cast<sockaddr*>(&storage), length);
}

void set_no_delay(int fd) noexcept { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }
void set_keep_alive(int fd) noexcept { set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1); }

void set_receive_low_water(int fd, int bytes) noexcept { set_option(fd, SOL_SOCKET, SO_RCVLOWAT, bytes); }

int receive_buffer(int fd) noexcept {
  int size = 0;
  socklen_t length = sizeof size;
  return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &length) == 0 ? size : 0;
}

void set_reset_on_close(int fd) noexcept {
  linger cut{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
}

namespace {

int option_of(int fd, int level, int name) noexcept {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

}  // namespace

SocketKind kind_of_socket(int fd) noexcept {
  const int type = option_of(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0) return SocketKind::no_socket;
  const int family = option_of(fd, SOL_SOCKET, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return SocketKind::other_family;
  if (type != SOCK_STREAM) return SocketKind::datagram;
  return option_of(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0 ? SocketKind::listening : SocketKind::connection;
}

bool is_v6_only(int fd) noexcept { return option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0; }
bool shares_port(int fd) noexcept { return option_of(fd, SOL_SOCKET, SO_REUSEPORT) > 0; }

}  // namespace sallyport
