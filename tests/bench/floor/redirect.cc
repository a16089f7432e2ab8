#include "redirect.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "relay.h"

namespace bench_floor {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
std::array<char, 64 * 1024> buffer;  // of the one thread

}  // namespace

std::string redirect_to(const std::string& location) {
  return "HTTP/1.1 301 Moved Permanently\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n";
}

Redirect::Redirect(Loop& loop, int fd, const std::string& answer) : loop_(loop), fd_(fd), answer_(answer) {
  loop_.watch(fd_, this);
}

void Redirect::ready(uint32_t events) {
  if (closed_) return;
  if (!rest_.empty() && !send_rest(fd_, false, rest_)) return close();
  while (rest_.empty()) {
    ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || !answer_all(buffer.data(), static_cast<size_t>(got))) return close();
    if (static_cast<size_t>(got) < buffer.size() && !(events & EPOLLRDHUP)) return;
  }
}

bool Redirect::answer_all(const char* bytes, size_t size) {
  std::string_view seen(bytes, size);
  if (!head_.empty()) seen = head_.append(bytes, size);
  size_t start = 0;
  for (size_t end; (end = seen.find(kEnd, start)) != std::string_view::npos; start = end + kEnd.size())
    if (!send_or_keep(fd_, answer_.data(), answer_.size(), false, rest_)) return false;
  head_ = std::string(seen.substr(start));
  return true;
}

void Redirect::close() {
  closed_ = true;
  ::close(fd_);
  loop_.retire(this);
}

}  // namespace bench_floor
