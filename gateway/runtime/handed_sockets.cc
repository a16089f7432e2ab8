#include "runtime/handed_sockets.h"

#include <sys/stat.h>

#include "base/format.h"
#include "base/log.h"

namespace sallyport {
namespace {

constexpr std::string_view kKept = "sallyport.kept/";  // no listener can have that name
constexpr size_t kLongestName = 255;                   // sd_pid_notify_with_fds(3), FDNAME=

const char* why_not(SocketKind kind) noexcept {
  switch (kind) {
    case SocketKind::listening: return nullptr;
    case SocketKind::connection: return "a connection, not a listening socket (its .socket unit wants Accept=no)";
    case SocketKind::datagram: return "not a stream socket (its .socket unit wants ListenStream=)";
    case SocketKind::other_family: return "neither of IPv4 or IPv6 nor a unix socket";
    case SocketKind::no_socket: return "no socket";
  }
  return "";
}

bool file_is_there(const Address& address) {
  struct stat status {};
  return stat(address.ip_text().c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

// The length of a unix address depends on who bound it.
bool same(const Address& local, const Address& wanted) {
  if (wanted.family() != AF_UNIX) return local == wanted;
  return local.family() == AF_UNIX && local.ip_text() == wanted.ip_text();
}

// Whether a socket of our own making is as open() would make it now.
bool as_good_as_new(int fd, const config::Bind& bind) {
  if (kind_of_socket(fd) != SocketKind::listening) return false;
  const Address local = local_address(fd);
  if (bind.address.family() == AF_UNIX) return same(local, bind.address) && file_is_there(local);
  if (!shares_port(fd)) return false;
  if (!bind.any) return local == bind.address && (local.family() == AF_INET || is_v6_only(fd));
  return local.is_any() && local.port() == bind.address.port() && (local.family() == AF_INET || !is_v6_only(fd));
}

bool listens_at(int fd, const config::Bind& bind) {
  const Address local = local_address(fd);
  if (bind.any) return local.is_ip() && local.is_any() && local.port() == bind.address.port();
  return same(local, bind.address);
}

template <class Wanted>
std::vector<UniqueFd> take_if(std::vector<InheritedSocket>& from, Wanted wanted) {
  std::vector<UniqueFd> out;
  for (InheritedSocket& socket : from)
    if (wanted(socket)) out.push_back(std::move(socket.fd));
  std::erase_if(from, [](const InheritedSocket& socket) { return !socket.fd; });
  return out;
}

}  // namespace

// FDNAME= takes printable ASCII but no colon. Every bind has a name of its own.
std::string name_in_store(const config::Bind& bind) {
  if (bind.address.is_ip() && bind.address.port() == 0) return {};  // another port at each start
  std::string out(kKept);
  for (const char c : bind.text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 127 || c == ':' || c == '%') {
      out += format("%{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out.size() <= kLongestName ? out : std::string();
}

HandedSockets::HandedSockets(std::vector<InheritedSocket> inherited) {
  for (InheritedSocket& socket : inherited) {
    const char* why = why_not(kind_of_socket(socket.fd.get()));
    if (why != nullptr) {
      const Address local = local_address(socket.fd.get());
      const std::string where = local.ip_text().empty() ? "" : " (" + local.text() + ")";
      log::error("what was handed over as \"{}\"{} is {}: refused", socket.name, where, why);
    } else if (socket.name.starts_with(kKept)) {
      kept_.push_back(std::move(socket));
    } else {
      handed_.push_back(std::move(socket));
    }
  }
}

std::vector<UniqueFd> HandedSockets::take_named(std::string_view listener) {
  return take_if(handed_, [listener](const InheritedSocket& socket) { return socket.name == listener; });
}

std::vector<UniqueFd> HandedSockets::take_at(const config::Bind& bind) {
  return take_if(handed_, [&bind](const InheritedSocket& socket) { return listens_at(socket.fd.get(), bind); });
}

HandedSockets::Kept HandedSockets::take_kept(const config::Bind& bind) {
  Kept out;
  const std::string name = name_in_store(bind);
  out.fds = take_if(kept_, [&name](const InheritedSocket& socket) { return socket.name == name; });
  out.stale = std::erase_if(out.fds, [&bind](const UniqueFd& fd) { return !as_good_as_new(fd.get(), bind); }) > 0;
  return out;
}

std::set<std::string> HandedSockets::drop_kept_but(const std::set<std::string>& wanted) {
  std::set<std::string> out;
  for (const InheritedSocket& socket : kept_)
    if (wanted.count(socket.name) == 0) out.insert(socket.name);
  std::erase_if(kept_, [&out](const InheritedSocket& socket) { return out.count(socket.name) > 0; });
  return out;
}

std::vector<std::string> HandedSockets::left() const {
  std::vector<std::string> out;
  for (const InheritedSocket& socket : handed_)
    out.push_back(format("\"{}\" ({})", socket.name, local_address(socket.fd.get()).text()));
  return out;
}

}  // namespace sallyport
