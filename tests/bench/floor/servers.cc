#include "servers.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "relay.h"

namespace bench_floor {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::string_view kLength = "\r\nContent-Length: ";  // as the server of the measurements spells it
constexpr std::string_view kBeforeStatus = "HTTP/1.1 ";
constexpr size_t kStatus = 3;

std::array<char, 64 * 1024> received;  // by the one thread
std::string request;

/// Where the body of an answer begins and ends; both 0 while its head is not there.
struct Shape {
  size_t head = 0;
  size_t end = 0;
};

Shape shape_of(std::string_view seen) {
  size_t end = seen.find(kEnd);
  if (end == std::string_view::npos) return {};
  size_t field = seen.substr(0, end).find(kLength);
  size_t length = 0;
  if (field == std::string_view::npos) give_up("an answer without Content-Length");
  std::from_chars(seen.data() + field + kLength.size(), seen.data() + end, length);
  return {end + kEnd.size(), end + kEnd.size() + length};
}

}  // namespace

/// One connection, and whoever waits for its answer.
class Servers::Server : public Watcher {
 public:
  explicit Server(Servers& servers) : servers_(servers), fd_(dial(servers.port_)) { servers_.loop_.watch(fd_, this); }

  void ask(std::string_view path, Asker& asker) {
    asker_ = &asker;
    request.assign("GET ").append(path).append(" HTTP/1.1\r\nHost: floor\r\n\r\n");
    if (!send_or_keep(fd_, request.data(), request.size(), false, rest_)) give_up("send to the server");
  }

  void ready(uint32_t events) override {
    if (!rest_.empty() && !send_rest(fd_, false, rest_)) give_up("send to the server");
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLERR))) return;
    for (;;) {
      ssize_t got = recv(fd_, received.data(), received.size(), 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0 || !asker_) give_up("the server");
      take({received.data(), static_cast<size_t>(got)});
      if (static_cast<size_t>(got) < received.size()) return;
    }
  }

 private:
  void take(std::string_view bytes) {
    if (!seen_.empty()) bytes = seen_.append(bytes);
    if (shape_.end == 0) shape_ = shape_of(bytes);
    if (shape_.end == 0 || bytes.size() < shape_.end) {
      if (seen_.empty()) seen_ = bytes;
      return;
    }
    // Kept from here on: the next request may be this connection's.
    Asker* asker = std::exchange(asker_, nullptr);
    Shape shape = std::exchange(shape_, {});
    std::string pieces = std::move(seen_);
    if (!pieces.empty()) bytes = pieces;
    seen_.clear();
    servers_.idle_.push_back(this);
    asker->answered(bytes.substr(kBeforeStatus.size(), kStatus), bytes.substr(shape.head, shape.end - shape.head));
  }

  Servers& servers_;
  int fd_;
  Asker* asker_ = nullptr;
  std::string rest_;  // of the request
  std::string seen_;  // of an answer that came in pieces
  Shape shape_;       // of it
};

Servers::Servers(Loop& loop, uint16_t port) : loop_(loop), port_(port) {}
Servers::~Servers() = default;

void Servers::get(std::string_view path, Asker& asker) {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Server>(*this));
    idle_.push_back(all_.back().get());
  }
  Server* server = idle_.back();
  idle_.pop_back();
  server->ask(path, asker);
}

}  // namespace bench_floor
