#include "net/poller.h"

#include <cerrno>
#include <system_error>

namespace sallyport {
namespace {

constexpr uint32_t kReading = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
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

int Poller::wait(int timeout) noexcept {
  return epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
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
