// One edge-triggered epoll set. Every socket is added once, and what happened is kept in latches beside it. One that is
// already connected has room to write, and is asked about that only once it had none. docs/event-core.md has the
// measurements behind this.
#pragma once
#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sallyport {

// Whoever deals with a socket at the moment. on_io may destroy the handler and the watch's owner (through Loop::bury).
class IoHandler {
 public:
  virtual void on_io() = 0;

 protected:
  ~IoHandler() = default;
};

// The latches of one registered descriptor. Must not move, and must stay in memory until the end of the turn in which
// its descriptor was closed. A null handler lets events pass by.
struct Watch {
  IoHandler* handler = nullptr;
  bool readable = false;  // set by events; cleared by whoever sees EAGAIN or a short read
  bool writable = false;
  bool awaits_room = false;  // registered for writing
  bool hangup = false;  // RDHUP, HUP or ERR was seen: reads go on until end of file, however short they are
  bool broken = false;  // HUP or ERR was seen: nothing can be sent any more
  bool failed = false;  // ERR was seen: a reset for one, where HUP alone may be two orderly ends
  bool urgent = false;  // urgent data (RFC 9293 section 3.8.5) was seen: reads may stop short before it
};

class Poller {
 public:
  Poller();
  int fd() const noexcept { return epoll_.get(); }
  // Edge-triggered, for reading and hang-up; writable: for room to write too, which ends a connect. The registration ends
  // when the descriptor is closed.
  Status add(int fd, Watch& watch, bool writable) noexcept;
  // The socket was full: the writable latch is cleared, and set again by an event, which comes at once if it has room by now.
  Status await_room(int fd, Watch& watch) noexcept;
  // Level-triggered, for reading: listening sockets, and libuv's backend. exclusive: one waiting worker is woken, not
  // all.
  Status add_level(int fd, Watch& watch, bool exclusive) noexcept;
  void remove(int fd) noexcept;
  // Waits (ms; -1: for ever), or less: a timer that was set for an earlier wait ends this one too. now: ms of
  // CLOCK_MONOTONIC. Returns the number of events, for dispatch().
  int wait(int timeout, uint64_t now) noexcept;
  // Sets latches and calls handlers, for the events of the last wait.
  void dispatch(int count);

 private:
  bool wakes_by(uint64_t due, uint64_t now) noexcept;

  UniqueFd epoll_;
  // The kernel sets up and takes back a timeout of epoll_wait() at every sleep. This timer stays set.
  UniqueFd timer_;
  Watch timer_watch_;
  uint64_t timer_due_ = 0;  // ms; not after now: it is not set
  std::array<epoll_event, 256> events_;
};

}  // namespace sallyport
