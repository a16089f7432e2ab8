#include "cli/admin_client.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "base/format.h"
#include "base/unique_fd.h"
#include "config/load.h"
#include "config/values.h"
#include "http/h1_reader.h"

namespace sallyport {
namespace {

constexpr size_t kMostAnswer = 256 * 1024 * 1024;

// The text is whole: Error::text() would add the system's words once more.
Error told(Kind kind, int sys, std::string text) { return {kind, Side::internal, Retry::no, sys, "", std::move(text)}; }

Error failed_call(const char* what) {
  const int sys = errno;
  return told(Kind::io, sys, Error::from_errno(sys, Side::internal, Retry::no, what).text());
}

Result<UniqueFd> connected(const Address& address, std::chrono::seconds patience) {
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return failed_call("socket");
  timeval limit{};
  limit.tv_sec = patience.count();
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), address.sa(), address.length()) != 0)
    return failed_call("connect");
  return fd;
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

Result<AdminClient::Reply> read_reply(int fd) {
  http::H1ResponseReader reader;
  reader.expect(false);
  http::ResponseHead head;
  http::HeaderList trailers;
  AdminClient::Reply reply;
  std::string input;
  char buffer[64 * 1024];
  bool interim = false;
  for (;;) {
    const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return told(Kind::timeout, EAGAIN, "the gateway does not answer in time");
    if (count < 0) return failed_call("recv");
    if (count == 0) {
      if (reader.end_of_input() == http::H1Event::complete) return reply;
      return told(Kind::cut, 0, "the answer broke off");
    }
    input.append(buffer, static_cast<size_t>(count));
    Bytes left = as_bytes(input);
    for (bool more = true; more;) {
      switch (reader.next(left, head, trailers)) {
        case http::H1Event::need_more: more = false; break;
        case http::H1Event::head:
          interim = head.interim();
          reply.status = head.status;
          break;
        case http::H1Event::body:
          reply.body.append(as_text(reader.body()));
          if (reply.body.size() > kMostAnswer) return told(Kind::limit, 0, "the answer is too large");
          break;
        case http::H1Event::complete:
          if (!interim) return reply;
          break;
        case http::H1Event::error:
          return told(Kind::protocol, 0, format("what answers there is no gateway: {}", reader.failure().why));
      }
    }
    input.erase(0, input.size() - left.size());
  }
}

std::string name_of_group(gid_t gid) {
  const group* found = getgrgid(gid);
  return found != nullptr ? std::string(found->gr_name) : std::to_string(gid);
}

std::string name_of_user(uid_t uid) {
  const passwd* found = getpwuid(uid);
  return found != nullptr ? std::string(found->pw_name) : std::to_string(uid);
}

}  // namespace

std::string permission_advice(const std::filesystem::path& socket) {
  // Where the folder itself is closed, nothing is to be learned of what it holds.
  struct stat info {};
  for (std::filesystem::path path = socket; !path.empty(); path = path.parent_path()) {
    if (stat(path.c_str(), &info) != 0) {
      if (path == path.parent_path()) break;
      continue;
    }
    return format("permission denied: {} is for user \"{}\" and group \"{}\", and you are in neither (sudo usermod -aG {} {}, "
                  "then log in again; or use sudo)",
                  path.string(), name_of_user(info.st_uid), name_of_group(info.st_gid), name_of_group(info.st_gid),
                  name_of_user(getuid()));
  }
  return format("permission denied: {}", socket.string());
}

AdminClient::AdminClient(const std::filesystem::path& directory, const std::string& socket) {
  if (!socket.empty()) {
    places_.push_back({"unix:" + socket, {}});
    return;
  }
  const config::Config config = config::load(directory);
  const config::Admin& admin = config.gateway.admin;
  if (!admin.socket.empty()) places_.push_back({"unix:" + admin.socket, {}});
  if (!admin.bind.empty()) places_.push_back({admin.bind, admin.token});
}

Result<AdminClient::Reply> AdminClient::ask_at(const Place& place, std::string_view method, std::string_view target,
                                               std::string_view body, std::chrono::seconds patience) const {
  auto bind = config::parse_bind(place.text);
  if (!bind) return told(Kind::config, 0, bind.error().text());
  const auto loopback = Address::parse_ip("127.0.0.1", bind->address.port());
  const Address address = bind->any ? *loopback : bind->address;
  auto fd = connected(address, patience);
  if (!fd) return fd.error();
  std::string request = format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", method, target,
                               address.is_ip() ? address.text() : std::string("localhost"));
  // Reading on loopback needs none, and who answers there may be anybody while no gateway runs.
  const bool reads = method == "GET" || target.find("dry_run=true") != std::string_view::npos;
  if (!place.token.empty() && !(reads && address.is_loopback())) request += format("Authorization: Bearer {}\r\n", place.token);
  if (!body.empty()) request += format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  request += "\r\n";
  request += body;
  if (!send_all(fd->get(), request)) return told(Kind::io, errno, "the gateway has closed the connection");
  return read_reply(fd->get());
}

Result<AdminClient::Reply> AdminClient::ask(std::string_view method, std::string_view target, std::string_view body,
                                            std::chrono::seconds patience) const {
  if (places_.empty()) return told(Kind::config, 0, "the configuration turns the admin interface off");
  std::string denied;
  std::string where;
  std::string why;
  for (const Place& place : places_) {
    auto reply = ask_at(place, method, target, body, patience);
    if (reply) {
      if (!denied.empty() && (reply->status == 401 || reply->status == 403)) return told(Kind::io, EACCES, denied);
      return reply;
    }
    const int sys = reply.error().sys;
    if (sys == EACCES && place.text.starts_with("unix:")) {
      denied = permission_advice(place.text.substr(5));
      continue;
    }
    const bool absent = sys == ENOENT || sys == ECONNREFUSED;
    if (!absent) return told(Kind::io, sys, format("{}: {}", place.text, reply.error().detail));
    where += (where.empty() ? "" : " or ") + place.text;
  }
  if (!denied.empty()) return told(Kind::io, EACCES, denied);
  return told(Kind::refused, ECONNREFUSED, format("no gateway answers at {}: is it running?", where));
}

}  // namespace sallyport
