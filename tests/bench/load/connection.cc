#include "connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace bench {
namespace {

constexpr size_t kRead = 64 * 1024;
constexpr int kSilence = 10;  // seconds

}  // namespace

Connection::~Connection() {
  ssl_.reset();
  if (fd_ >= 0) close(fd_);
}

int Connection::dial(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval silence{kSilence, 0};
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  close(fd);
  return -1;
}

bool Connection::start_client_tls(SSL_CTX* context, const std::string& host, SSL_SESSION* session) {
  if (fd_ < 0) return false;
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), fd_);
  SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
  if (session) SSL_set_session(ssl_.get(), session);
  return SSL_connect(ssl_.get()) == 1;
}

bool Connection::start_server_tls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), fd_);
  return SSL_accept(ssl_.get()) == 1;
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                        : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Connection::read_some(std::string& into) {
  size_t had = into.size();
  into.resize(had + kRead);
  ssize_t got = ssl_ ? SSL_read(ssl_.get(), into.data() + had, kRead) : recv(fd_, into.data() + had, kRead, 0);
  into.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return got > 0;
}

bool Connection::read_head(std::string& head, std::string& buffered) {
  size_t end;
  while ((end = buffered.find("\r\n\r\n")) == std::string::npos)
    if (!read_some(buffered)) return false;
  head.assign(buffered, 0, end + 4);
  buffered.erase(0, end + 4);
  return true;
}

bool Connection::read_at_least(std::string& buffered, size_t size) {
  while (buffered.size() < size)
    if (!read_some(buffered)) return false;
  return true;
}

size_t Connection::fetch(std::string_view request, const std::string& body, std::string& buffered) {
  std::string head;
  buffered.clear();
  if (!write(request) || !read_head(head, buffered)) return 0;
  if (head.compare(0, 12, "HTTP/1.1 200") != 0 || number_field(head, "content-length:") != body.size()) return 0;
  if (!read_at_least(buffered, body.size()) || buffered != body) return 0;
  return head.size() + body.size();
}

std::string text_field(const std::string& head, std::string_view name) {
  for (size_t line = head.find("\r\n"); line != std::string::npos; line = head.find("\r\n", line + 2)) {
    size_t at = line + 2;
    if (head.size() < at + name.size()) break;
    if (!std::equal(name.begin(), name.end(), head.begin() + static_cast<ssize_t>(at),
                    [](char want, char have) { return want == tolower(static_cast<unsigned char>(have)); }))
      continue;
    size_t from = head.find_first_not_of(' ', at + name.size());
    return head.substr(from, head.find("\r\n", at) - from);
  }
  return {};
}

size_t number_field(const std::string& head, std::string_view name) {
  return std::strtoull(text_field(head, name).c_str(), nullptr, 10);
}

}  // namespace bench
