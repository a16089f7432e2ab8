#include "net/poller.h"

#include <sys/timerfd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/system_calls.h"

namespace sallyport {
namespace {

constexpr uint32_t kReading = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

}  // namespace

Poller::Poller()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  // Without one, waits have timeouts.
  if (timer_ && !add(timer_.get(), timer_watch_, false)) timer_.reset();
}

Status Poller::add(int fd, Watch& watch, bool writable) noexcept {
  epoll_event event{};
  event.events = writable ? kReading | EPOLLOUT : kReading;
  event.data.ptr = &watch;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return Error::from_errno(errno, Side::internal, Retry::no, "epoll_ctl");
  watch.awaits_room = writable;
  return success();
}

Status Poller::await_room(int fd, Watch& watch) noexcept {
  watch.writable = false;
  if (watch.awaits_room) return success();
  epoll_event event{};
  event.events = kReading | EPOLLOUT;
  event.data.ptr = &watch;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    return Error::from_errno(errno, Side::internal, Retry::no, "epoll_ctl");
  watch.awaits_room = true;
  return success();
}

Status Poller::add_level(int fd, Watch& watch, bool exclusive) noexcept {
  epoll_event event{};
  event.events = exclusive ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN;
  event.data.ptr = &watch;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return Error::from_errno(errno, Side::internal, Retry::no, "epoll_ctl");
  return success();
}

void Poller::remove(int fd) noexcept { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

// Each expiry is an event of its own (timerfd_create(2), edge-triggered): nobody reads the timer.
bool Poller::wakes_by(uint64_t due, uint64_t now) noexcept {
  if (!timer_) return false;
  if (std::exchange(timer_watch_.readable, false)) timer_due_ = 0;
  if (timer_due_ > now && timer_due_ <= due) return true;
  itimerspec at{};
  at.it_value.tv_sec = static_cast<time_t>(due / 1000);
  at.it_value.tv_nsec = static_cast<long>(due % 1000) * 1'000'000;
  if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr) != 0) return false;
  timer_due_ = due;
  return true;
}

int Poller::wait(int timeout, uint64_t now) noexcept {
  if (timeout > 0 && wakes_by(now + static_cast<uint64_t>(timeout), now)) timeout = -1;
  return call::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
}

void Poller::dispatch(int count) {
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<size_t>(i)];
    auto& watch = *static_cast<Watch*>(event.data.ptr);
    constexpr uint32_t kGone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if ((event.events & (EPOLLIN | kGone)) != 0) watch.readable = true;
    if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) watch.writable = true;
    if ((event.events & kGone) != 0) watch.hangup = true;
    if ((event.events & (EPOLLHUP | EPOLLERR)) != 0) watch.broken = true;
    if ((event.events & EPOLLERR) != 0) watch.failed = true;
    if ((event.events & EPOLLPRI) != 0) watch.urgent = true;
    if (watch.handler != nullptr) watch.handler->on_io();
  }
}

}  // namespace sallyport
