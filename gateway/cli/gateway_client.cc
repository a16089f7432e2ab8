#include "cli/gateway_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "base/format.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "config/values.h"

namespace sallyport {
namespace {

constexpr size_t kMostAnswer = 64 * 1024 * 1024;

Error system_error(const char* what) { return Error::from_errno(errno, Side::internal, Retry::no, what); }

timeval time_of(std::chrono::milliseconds limit) {
  return {static_cast<time_t>(limit.count() / 1000), static_cast<suseconds_t>(limit.count() % 1000 * 1000)};
}

Result<std::string> exchange(const Address& address, const std::string& request, std::chrono::milliseconds limit) {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("socket");
  const timeval time = time_of(limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  if (connect(fd.get(), address.sa(), address.length()) != 0) return system_error("connect");
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return system_error("send");
  std::string answer;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t count = recv(fd.get(), buffer, sizeof buffer, 0);
    if (count < 0) return system_error("recv");
    if (count == 0) return answer;
    answer.append(buffer, static_cast<size_t>(count));
    if (answer.size() > kMostAnswer)
      return Error{Kind::limit, Side::upstream, Retry::no, 0, "the answer is too long", {}};
  }
}

Result<GatewayAnswer> read_answer(const std::string& bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  const auto status = bytes.size() > 12 && bytes.starts_with("HTTP/1.1 ") ? parse_number(bytes.substr(9, 3))
                                                                          : std::optional<uint64_t>();
  if (end == std::string::npos || !status)
    return Error{Kind::protocol, Side::upstream, Retry::no, 0, "what answers is no gateway", {}};
  return GatewayAnswer{static_cast<int>(*status), bytes.substr(end + 4)};
}

}  // namespace

GatewayClient::GatewayClient(const config::Admin& admin, const std::string& socket) {
  if (!socket.empty()) {
    places_.push_back("unix:" + socket);
    return;
  }
  if (!admin.socket.empty()) places_.push_back("unix:" + admin.socket);
  if (!admin.bind.empty()) places_.push_back(admin.bind);
}

Result<GatewayAnswer> GatewayClient::ask(std::string_view method, const std::string& target,
                                         std::chrono::milliseconds limit) const {
  // HTTP/1.0: the answer is sized or ended by the close, never chunked.
  const std::string request =
      format("{} {} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target);
  Error error{Kind::unavailable, Side::upstream, Retry::no, 0, "the configuration turns the admin interface off", {}};
  for (const std::string& place : places_) {
    const auto bind = config::parse_bind(place);
    if (!bind) continue;
    const auto loopback = Address::parse_ip("127.0.0.1", bind->address.port());
    auto bytes = exchange(bind->any ? *loopback : bind->address, request, limit);
    if (!bytes) {
      error = bytes.error();
      error.detail = place;
      continue;
    }
    auto answer = read_answer(*bytes);
    if (answer) return answer;
    error = answer.error();
    error.detail = place;
  }
  return error;
}

std::string query_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      format_to(std::back_inserter(out), "%{:02X}", byte);
  }
  return out;
}

}  // namespace sallyport
