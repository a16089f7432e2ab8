// Sockets: non-blocking and close-on-exec from the start.
#pragma once
#include <chrono>
#include <cstdint>

#include "base/address.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sallyport {

struct ListenOptions {
  bool reuse_port = true;  // each worker binds a socket of its own
  bool v6_only = true;     // an IPv6 socket takes no IPv4 clients; ":443" is one socket with this off
  bool freebind = true;    // an address that arrives later (a VIP) can be bound now (IP_FREEBIND)
  int backlog = 4096;
};

// Bound and listening. A unix path left behind by a process that is gone is replaced.
Result<UniqueFd> listen_on(const Address& address, const ListenOptions& options);
// Refuses what reuse_port alone would let through: another process (a second copy of the gateway too) already serving
// it.
Status probe_free(const Address& address, bool v6_only);

struct Accepted {
  UniqueFd fd;
  Address peer;
};
// Error with sys == EAGAIN: nobody is waiting; EMFILE, ENFILE: no descriptor was left.
Result<Accepted> accept_from(int listener) noexcept;

// Starts connecting; in_progress says whether to wait for writability.
struct Connecting {
  UniqueFd fd;
  bool in_progress = false;
};
// source: connect from this address, be it a stranger's (IP_TRANSPARENT, ip(7)); its port is of no matter.
Result<Connecting> connect_to(const Address& address, const Address* source = nullptr) noexcept;
int socket_error(int fd) noexcept;  // SO_ERROR
Address local_address(int fd) noexcept;
Address peer_address(int fd) noexcept;
void set_no_delay(int fd) noexcept;
// Less than so many bytes raise no event; an end of the stream or an error does (SO_RCVLOWAT, socket(7)).
void set_receive_low_water(int fd, int bytes) noexcept;
int receive_buffer(int fd) noexcept;  // SO_RCVBUF
void set_keep_alive(int fd) noexcept;
// The kernel looks whether a silent peer is still there after two hours (tcp(7)): of use only where that may be silent
// for longer. 0: for ever.
inline bool needs_keep_alive(std::chrono::milliseconds silence) noexcept {
  return silence.count() == 0 || silence > std::chrono::hours(2);
}
// The close that follows sends RST, not FIN: the peer sees a cut, never a clean end (SO_LINGER 0).
void set_reset_on_close(int fd) noexcept;

// What a descriptor is that somebody else opened.
enum class SocketKind : uint8_t { listening, connection, datagram, other_family, no_socket };
SocketKind kind_of_socket(int fd) noexcept;
bool is_v6_only(int fd) noexcept;
// Others may listen on the same address beside it (SO_REUSEPORT).
bool shares_port(int fd) noexcept;

}  // namespace sallyport
