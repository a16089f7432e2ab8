#include "admin/request.h"

#include <sys/socket.h>

#include <fstream>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

// As the kernel knows it; whoever runs a program can name it as they like.
std::string command_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

std::string AdminPeer::text() const {
  if (!local) return address.ip_text();
  if (pid == 0) return format("uid {}, gid {}", uid, gid);
  return format("pid {} ({}), uid {}, gid {}", pid, escaped(command_of(pid), 64), uid, gid);
}

AdminPeer peer_of(int fd, const Address& address) {
  AdminPeer peer;
  peer.address = address.unmapped();
  if (address.is_ip()) return peer;
  peer.local = true;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    peer.pid = credentials.pid;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
  }
  return peer;
}

std::string_view AdminRequest::parameter(std::string_view name) const noexcept {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return {};
}

AdminAnswer json_answer(const Json& json, int status) { return {status, text_of(json) + "\n"}; }

AdminAnswer error_answer(int status, std::string_view text) {
  Json json;
  json["error"] = text;
  return json_answer(json, status);
}

AdminAnswer text_answer(int status, std::string body, std::string type) {
  return {status, std::move(body), std::move(type)};
}

}  // namespace sallyport
