#include "relay.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace bench_floor {

Relay::Relay(Loop& loop, int client, int server, std::unique_ptr<Carrier> up, std::unique_ptr<Carrier> down)
    : loop_(loop) {
  client_.carrier = std::move(up);
  server_.carrier = std::move(down);
  client_.fd = client;
  server_.fd = server;
  client_.other = &server_;
  server_.other = &client_;
  client_.relay = server_.relay = this;
  loop_.watch(client, &client_);
  loop_.watch(server, &server_);
}

void Relay::ready(Side& side, uint32_t events) {
  if (closed_) return;
  if (events & EPOLLERR) return close();
  if (events & EPOLLRDHUP) side.fin = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) run(side);
  if (!closed_ && side.other->blocked) run(*side.other);
}

void Relay::run(Side& side) {
  if (side.ended) return;
  Went went = side.carrier->carry(side.fd, side.other->fd, side.fin);
  side.blocked = went == Went::full;
  side.ended = went == Went::ended;
  if (went == Went::broken || (side.ended && side.other->ended)) return close();
  if (side.ended) shutdown(side.other->fd, SHUT_WR);
}

void Relay::close() {
  closed_ = true;
  ::close(client_.fd);
  ::close(server_.fd);
  loop_.retire(this);
}

bool send_or_keep(int fd, const char* bytes, size_t size, bool last, std::string& rest) {
  if (!rest.empty()) {
    rest.append(bytes, size);
    bytes = rest.data();
    size = rest.size();
  }
  if (size == 0) return true;
  // What comes last travels with the FIN that follows at once.
  ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
  if (sent < 0 && errno != EAGAIN) return false;
  size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (rest.empty())
    rest.assign(bytes + taken, size - taken);
  else
    rest.erase(0, taken);
  return true;
}

}  // namespace bench_floor
