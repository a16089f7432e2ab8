// The calls that every connection is made of, without what the C library does around those at which a thread may be
// cancelled (pthreads(7)): in glibc 2.36, in a process with several threads, two atomic read-modify-writes each. No
// thread is cancelled here. As in the manuals of the same names: -1 and errno.
#pragma once
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitizers.h"

namespace sallyport::call {

// A sanitizer watches the C library's functions.
inline constexpr bool kDirect = !kSanitized;

inline int close(int fd) noexcept {
  if constexpr (kDirect) return static_cast<int>(syscall(SYS_close, fd));
  return ::close(fd);
}

inline ssize_t recv(int fd, void* into, size_t size, int flags) noexcept {
  if constexpr (kDirect) return syscall(SYS_recvfrom, fd, into, size, flags, nullptr, nullptr);
  return ::recv(fd, into, size, flags);
}

inline ssize_t send(int fd, const void* bytes, size_t size, int flags) noexcept {
  if constexpr (kDirect) return syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
  return ::send(fd, bytes, size, flags);
}

inline ssize_t sendmsg(int fd, const msghdr& message, int flags) noexcept {
  if constexpr (kDirect) return syscall(SYS_sendmsg, fd, &message, flags);
  return ::sendmsg(fd, &message, flags);
}

inline int accept(int listener, sockaddr* peer, socklen_t* length, int flags) noexcept {
  if constexpr (kDirect) return static_cast<int>(syscall(SYS_accept4, listener, peer, length, flags));
  return ::accept4(listener, peer, length, flags);
}

inline int connect(int fd, const sockaddr* address, socklen_t length) noexcept {
  if constexpr (kDirect) return static_cast<int>(syscall(SYS_connect, fd, address, length));
  return ::connect(fd, address, length);
}

inline ssize_t splice(int from, int to, size_t size, unsigned flags) noexcept {
  if constexpr (kDirect) return syscall(SYS_splice, from, nullptr, to, nullptr, size, flags);
  return ::splice(from, nullptr, to, nullptr, size, flags);
}

// timeout: milliseconds; -1: for ever.
inline int epoll_wait(int epoll, epoll_event* events, int room, int timeout) noexcept {
#ifdef SYS_epoll_wait
  if constexpr (kDirect) return static_cast<int>(syscall(SYS_epoll_wait, epoll, events, room, timeout));
#else  // newer platforms have epoll_pwait only
  if constexpr (kDirect)
    return static_cast<int>(syscall(SYS_epoll_pwait, epoll, events, room, timeout, nullptr, size_t{0}));
#endif
  return ::epoll_wait(epoll, events, room, timeout);
}

}  // namespace sallyport::call
