#include "transport/relay.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/system_calls.h"
#include "net/socket.h"

namespace sallyport {
namespace {

constexpr uint64_t kBulk = 512 * 1024;  // an unbroken run of large reads this long is a bulk transfer
constexpr size_t kLargeRead = 12 * 1024;

// Each wake-up costs as much as moving tens of kilobytes. A direction that is this fast waits for so much at a time,
// which takes it a millisecond at the most.
constexpr uint64_t kPaceBytes = 2 * 1024 * 1024;
constexpr uint64_t kPaceMs = 16;
constexpr int kPatience = 128 * 1024;

// Not the connection's fault: a sandbox, or a kind of socket that cannot.
bool splice_refused(int sys) noexcept {
  return sys == EINVAL || sys == ENOSYS || sys == EPERM || sys == EACCES || sys == EOPNOTSUPP || sys == ENOMEM;
}

}  // namespace

Relay::Relay(Transport& client, Transport& server) noexcept : pipes_(client.io().pipes) {
  up_.from = down_.to = &client;
  up_.to = down_.from = &server;
}

Relay::~Relay() {
  release_pipe(up_);
  release_pipe(down_);
}

void Relay::release_pipe(Direction& direction) noexcept {
  if (direction.pipe) pipes_.give(std::move(direction.pipe));
}

bool Relay::wants_splice(const Direction& direction) const noexcept {
  return direction.streak >= kBulk && !direction.no_splice && direction.from->ssl() == nullptr &&
         direction.to->ssl() == nullptr;
}

Relay::State Relay::pump() {
  // They take turns at being first: one that can always spend the whole budget must not starve the other.
  Direction* order[] = {&up_, &down_};
  if (std::exchange(down_first_, !down_first_)) std::swap(order[0], order[1]);
  // Of both directions: moved as it is, a byte costs a third of one that is encrypted.
  size_t budget = 2 * up_.from->io().quantum();
  bool spent = false;
  bool up_idle = false;
  for (Direction* d : order) {
    Step step = move(*d, budget);
    if (step == Step::from_failed || step == Step::to_failed) return failed(*d, step == Step::from_failed);
    spent |= step == Step::budget;
    up_idle |= d == &up_ && step == Step::idle;
  }
  if (up_.eof && down_.eof && up_.to->write_ended() && down_.to->write_ended()) return State::done;
  // A client that is reset shows in no read while it is not read, because the server takes nothing, or after its FIN;
  // the server is to be freed. What a server sent before its reset is worth waiting for: the client still gets it.
  if (up_idle && up_.from->failed()) return failed(up_, true);
  return spent ? State::again : State::running;
}

Relay::State Relay::failed(Direction& direction, bool from_side) noexcept {
  Transport* bad = from_side ? direction.from : direction.to;
  error_ = bad->error();
  if (error_.what[0] == '\0')
    error_ =
        Error{Kind::cut, Side::internal, Retry::no, splice_sys_ != 0 ? splice_sys_ : ECONNRESET, "connection lost", {}};
  return bad == up_.from ? State::client_failed : State::server_failed;
}

// What came from the server since the last one was its answer.
void Relay::note_question() noexcept {
  if (const uint64_t answer = down_.moved - std::exchange(answered_, down_.moved); answer > 0)
    up_.from->io().note_answer(answer);
}

// Whoever owns the transports closes them when both directions are over.
void Relay::end(Direction& d) {
  const Direction& other = &d == &up_ ? down_ : up_;
  d.to->end_write(other.eof && other.to->write_ended());
}

Relay::Step Relay::move(Direction& d, size_t& budget) {
  for (;;) {
    if (d.pipe || (wants_splice(d) && !d.from->has_unread() && d.to->pending() == 0)) {
      Step step = move_spliced(d, budget);
      if (!d.no_splice || step != Step::idle) return step;
    }
    const bool can_read = !d.eof && d.from->can_read();
    // A header that waits goes out together with the bytes read next, in one call.
    const bool more_to_come = can_read && !d.stalled && budget > 0 && !d.to->congested();
    if (!more_to_come && !d.to->flush()) return Step::to_failed;
    if (d.eof) return Step::idle;
    if (d.stalled && !d.to->relaxed()) return Step::idle;
    d.stalled = d.to->congested();
    if (d.stalled) return Step::idle;
    if (!can_read) {
      d.streak = 0;
      return Step::idle;
    }
    if (budget == 0) return Step::budget;

    switch (d.from->read()) {
      case Transport::Read::again: d.streak = 0; return d.to->flush() ? Step::idle : Step::to_failed;
      case Transport::Read::failed:
        d.to->flush();  // what came before the cut is the other side's
        return Step::from_failed;
      case Transport::Read::eof:
        d.eof = true;
        end(d);
        break;
      case Transport::Read::data: {
        Bytes bytes = d.from->bytes();
        d.moved += bytes.size();
        d.streak = bytes.size() >= kLargeRead ? d.streak + bytes.size() : 0;
        if (&d == &up_) note_question();
        budget -= std::min(budget, bytes.size());
        // With nothing behind it, it goes straight from where it was read, and is not queued first.
        if (d.from->can_read()) {
          d.to->write(bytes);
          break;
        }
        if (!d.to->send(bytes)) return Step::to_failed;
        if (d.streak >= kBulk) break;
        d.stalled = d.to->congested();
        d.streak = 0;
        return Step::idle;
      }
    }
  }
}

void Relay::note_pace(Direction& d) noexcept {
  const uint64_t now = d.from->io().loop.now();
  d.moved_ms = now;
  if (d.moved - d.pace_from < kPaceBytes) return;
  // The window must hold several times what is waited for, or the sender would wait for us.
  if (!d.patient && now - d.pace_ms <= kPaceMs && receive_buffer(d.from->fd()) >= 4 * kPatience) {
    d.patient = true;
    set_receive_low_water(d.from->fd(), kPatience);
  }
  d.pace_from = d.moved;
  d.pace_ms = now;
}

bool Relay::look() noexcept {
  bool found = false;
  for (Direction* d : {&up_, &down_}) {
    const uint64_t now = d->from->io().loop.now();
    if (!d->patient || now == d->moved_ms) continue;
    d->patient = false;
    d->pace_from = d->moved;
    d->pace_ms = now;
    if (d->eof) continue;
    set_receive_low_water(d->from->fd(), 1);
    d->from->watch().readable = found = true;
  }
  return found;
}

// What is in the pipe already goes first. A connection that is gone shows in the reads and writes to come.
Relay::Step Relay::copy_instead(Direction& d) {
  d.no_splice = true;
  uint8_t* buffer = d.from->io().plain.get();
  while (d.pipe->held > 0) {
    ssize_t count = ::read(d.pipe->read_end.get(), buffer, std::min(d.pipe->held, IoContext::kPlainSize));
    if (count <= 0) return Step::to_failed;
    d.pipe->held -= static_cast<size_t>(count);
    d.to->write({buffer, static_cast<size_t>(count)});
  }
  release_pipe(d);
  if (d.eof) end(d);
  return Step::idle;
}

// EAGAIN of the first splice also means a full pipe: it says that nothing is readable only when the pipe was empty.
// Each pass tries the write again: it is what makes room.
Relay::Step Relay::move_spliced(Direction& d, size_t& budget) {
  if (!d.pipe) {
    d.pipe = pipes_.take();
    if (!d.pipe) {
      d.no_splice = true;
      return Step::idle;
    }
  }
  constexpr unsigned kFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
  for (;;) {
    bool moved = false;
    if (!d.eof && d.from->watch().readable && d.pipe->held < d.pipe->capacity && budget > 0) {
      // A pipe is filled whatever is left of the budget: small pieces cost more than they give to others.
      ssize_t count = call::splice(d.from->fd(), d.pipe->write_end.get(), d.pipe->capacity - d.pipe->held, kFlags);
      if (count > 0) {
        d.pipe->held += static_cast<size_t>(count);
        d.from->count_received(static_cast<uint64_t>(count));
        d.moved += static_cast<uint64_t>(count);
        budget -= std::min(budget, static_cast<size_t>(count));
        moved = true;
        note_pace(d);
      } else if (count == 0) {
        d.eof = true;
      } else if (errno == EAGAIN) {
        if (d.pipe->held == 0) d.from->watch().readable = false;
      } else if (splice_refused(errno)) {
        return copy_instead(d);
      } else if (errno != EINTR) {
        splice_sys_ = errno;  // the socket has forgotten it now: its next read would be an orderly end
        return Step::from_failed;
      }
    }
    if (d.pipe->held > 0 && d.to->watch().writable) {
      ssize_t count = call::splice(d.pipe->read_end.get(), d.to->fd(), d.pipe->held, kFlags);
      if (count > 0) {
        d.pipe->held -= static_cast<size_t>(count);
        d.to->count_sent(static_cast<uint64_t>(count));
        moved = true;
      } else if (count < 0 && errno == EAGAIN) {
        if (!d.to->await_room()) return Step::to_failed;
      } else if (count < 0 && splice_refused(errno)) {
        return copy_instead(d);
      } else if (count < 0 && errno != EINTR) {
        splice_sys_ = errno;
        return Step::to_failed;
      }
    }
    if (d.eof && d.pipe->held == 0) {
      release_pipe(d);
      end(d);
      return Step::idle;
    }
    if (moved && budget > 0) continue;
    if (budget == 0 && (d.from->watch().readable || (d.pipe->held > 0 && d.to->watch().writable))) return Step::budget;
    // Nothing more at the moment: a pipe that holds nothing goes back, others may need it.
    if (d.pipe->held == 0 && !d.from->watch().readable) release_pipe(d);
    return Step::idle;
  }
}

}  // namespace sallyport
