// What the admin interface is asked, and what it answers.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/json.h"
#include "base/address.h"

namespace sallyport {

// Who asks: a process on this machine, through the unix socket, or an address.
struct AdminPeer {
  bool local = false;
  Address address;  // not local
  pid_t pid = 0;    // local, as SO_PEERCRED tells; 0: of another process namespace
  uid_t uid = 0;
  gid_t gid = 0;
  // For the log: "pid 812 (sallyport), uid 0, gid 0", or "192.0.2.1".
  std::string text() const;
};
AdminPeer peer_of(int fd, const Address& address);

struct AdminRequest {
  std::vector<std::string> captures;  // what stood for "{}" in the route's pattern, decoded
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  std::string if_none_match;
  const AdminPeer* peer = nullptr;
  // Empty where it was not given.
  std::string_view parameter(std::string_view name) const noexcept;
};

struct AdminAnswer {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields{};
};
AdminAnswer json_answer(const Json& json, int status = 200);
AdminAnswer error_answer(int status, std::string_view text);
AdminAnswer text_answer(int status, std::string body, std::string type = "text/plain; charset=utf-8");

}  // namespace sallyport
