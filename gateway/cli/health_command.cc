#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/unique_fd.h"
#include "cli/commands.h"
#include "config/load.h"
#include "config/values.h"

namespace sallyport {
namespace {

// The whole answer to one small request, or an error. Waits up to 3 s for each step.
Result<std::string> ask(const Address& address) {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{3, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), address.sa(), address.length()) != 0)
    return Error::from_errno(errno, Side::internal, Retry::no, "connect");
  static constexpr char kRequest[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (send(fd.get(), kRequest, sizeof kRequest - 1, MSG_NOSIGNAL) < 0)
    return Error::from_errno(errno, Side::internal, Retry::no, "send");
  std::string answer;
  char buffer[4096];
  for (;;) {
    ssize_t count = recv(fd.get(), buffer, sizeof buffer, 0);
    if (count < 0) return Error::from_errno(errno, Side::internal, Retry::no, "recv");
    if (count == 0) return answer;
    answer.append(buffer, static_cast<size_t>(count));
    if (answer.size() > 64 * 1024) return answer;
  }
}

}  // namespace

int health_command(const std::filesystem::path& directory, const std::string& socket) {
  std::vector<std::string> places;
  if (!socket.empty()) {
    places.push_back("unix:" + socket);
  } else {
    config::Config config = config::load(directory);
    if (!config.gateway.admin.socket.empty()) places.push_back("unix:" + config.gateway.admin.socket);
    if (!config.gateway.admin.bind.empty()) places.push_back(config.gateway.admin.bind);
  }
  std::string why = "the configuration turns the admin listener off";
  for (const std::string& place : places) {
    auto bind = config::parse_bind(place);
    if (!bind) {
      why = place + ": " + bind.error().text();
      continue;
    }
    auto loopback = Address::parse_ip("127.0.0.1", bind->address.port());
    auto answer = ask(bind->any ? *loopback : bind->address);
    if (!answer) {
      why = place + ": " + answer.error().text();
      continue;
    }
    size_t body = answer->find("\r\n\r\n");
    std::string words = body == std::string::npos ? std::string("no answer\n") : answer->substr(body + 4);
    std::fputs(words.c_str(), stdout);
    return answer->starts_with("HTTP/1.1 200 ") ? 0 : 1;
  }
  std::fprintf(stderr, "no gateway answers: %s\n", why.c_str());
  return 1;
}

}  // namespace sallyport
