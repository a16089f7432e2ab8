#include "runtime/sockets.h"

#include <cerrno>

#include "base/format.h"
#include "base/log.h"
#include "net/socket.h"

namespace sallyport {
namespace {

OpenSocket handed_over(const std::shared_ptr<ListenerShare>& share, UniqueFd fd) {
  OpenSocket out;
  out.share = share;
  out.shared = true;
  out.address = local_address(fd.get()).text() + " (handed over)";
  out.fds.push_back(std::move(fd));
  return out;
}

}  // namespace

std::string SocketOpener::explain(const config::Bind& bind, const Error& error) {
  std::string where = bind.text;
  if (error.sys == EADDRINUSE)
    return format("{} is taken: another program, or another copy of this one, listens there (ss -ltnp shows which)",
                  where);
  if (error.sys == EACCES && bind.address.is_ip() && bind.address.port() < 1024)
    return format(
        "{} needs a privilege: ports below 1024 want CAP_NET_BIND_SERVICE (podman: --cap-add net_bind_service; "
        "systemd: "
        "AmbientCapabilities=CAP_NET_BIND_SERVICE), a lower net.ipv4.ip_unprivileged_port_start, or socket activation",
        where);
  return format("{}: {}", where, error.text());
}

SocketOpener::SocketOpener(unsigned workers, std::vector<InheritedSocket> inherited)
    : workers_(workers), handed_(std::move(inherited)) {}

std::vector<OpenSocket> SocketOpener::take_over(const std::shared_ptr<ListenerShare>& share) {
  std::vector<OpenSocket> out;
  for (UniqueFd& fd : handed_.take_named(share->name)) out.push_back(handed_over(share, std::move(fd)));
  return out;
}

// A .socket unit without FileDescriptorName= gives its own name, which says nothing here; its address does.
std::vector<OpenSocket> SocketOpener::take_over_at(const std::shared_ptr<ListenerShare>& share,
                                                   const config::Bind& bind) {
  std::vector<OpenSocket> out;
  for (UniqueFd& fd : handed_.take_at(bind)) {
    out.push_back(handed_over(share, std::move(fd)));
    OpenSocket& open = out.back();
    // The name of an inline listener is its address, which no .socket unit can bear.
    if (share->name != bind.text)
      log::warn("listener \"{}\" takes the socket on {} for its address: no listener has its name. Its .socket unit wants "
                "FileDescriptorName={}",
                share->name, open.address, share->name);
    open.address = bind.text;
    open.from = " (handed over)";
  }
  return out;
}

Result<OpenSocket> SocketOpener::open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind) {
  OpenSocket out;
  out.share = share;
  out.address = bind.text;
  auto [kept, stale] = handed_.take_kept(bind);
  const std::string name = name_in_store(bind);
  // By its name is the only way to take something out, so what is good in there goes with it and comes back.
  if (stale) take_from_store(name);
  const size_t known = stale ? 0 : kept.size();
  if (known > 0) stored_[name] = known;
  auto opened = kept.empty() ? open_new(std::move(out), bind) : open_beside(std::move(out), std::move(kept));
  if (opened) keep(bind, opened->fds, known);
  return opened;
}

// Kept sockets are not probed for: they are in the way of nobody but us. Where there are more of them than workers, some
// get two, as clients wait in each; where there are fewer, the rest is bound beside them.
Result<OpenSocket> SocketOpener::open_beside(OpenSocket out, std::vector<UniqueFd> kept) {
  const Address address = local_address(kept.front().get());
  ListenOptions options;
  options.v6_only = is_v6_only(kept.front().get());
  out.fds = std::move(kept);
  out.from = " (kept)";
  if (!address.is_ip()) out.shared = true;
  while (!out.shared && out.fds.size() < workers_) {
    auto fd = listen_on(address, options);
    // The kernel wants one user for all of a port's sockets; the unit's User= may have changed since.
    if (fd) {
      out.fds.push_back(std::move(*fd));
    } else {
      out.shared = true;
    }
  }
  return out;
}

Result<OpenSocket> SocketOpener::open_new(OpenSocket out, const config::Bind& bind) {
  Address address = bind.address;
  ListenOptions options;
  if (bind.any) {
    address = Address::any_v6(bind.address.port());
    options.v6_only = false;
  }
  auto free = probe_free(address, options.v6_only);
  if (!free && bind.any && free.error().sys == EAFNOSUPPORT) {
    address = Address::any_v4(bind.address.port());  // a kernel without IPv6
    free = probe_free(address, true);
  }
  if (!free) return free.error();
  out.shared = address.family() == AF_UNIX;
  for (unsigned i = 0; i < (out.shared ? 1 : workers_); ++i) {
    auto fd = listen_on(address, options);
    if (!fd) return fd.error();
    out.fds.push_back(std::move(*fd));
  }
  return out;
}

// All of them: a socket that is closed takes those with it who wait in its queue, and the kernel deals clients out over
// all that share a port.
void SocketOpener::keep(const config::Bind& bind, const std::vector<UniqueFd>& fds, size_t from) {
  const std::string name = name_in_store(bind);
  if (name.empty() || from >= fds.size()) return;
  std::vector<int> numbers;
  for (size_t i = from; i < fds.size(); ++i) numbers.push_back(fds[i].get());
  put_into_store(name, numbers);
  stored_[name] = fds.size();
  size_t all = 0;
  for (const auto& [other, count] : stored_) all += count;
  const auto room = store_room();
  if (!room || *room >= all || told_of_room_) return;
  told_of_room_ = true;
  log::warn("the service manager keeps {} descriptors, fewer than the listening sockets: a restart may turn clients away "
            "(FileDescriptorStoreMax=)",
            *room);
}

void SocketOpener::forget_all_but(const Snapshot& snapshot) {
  std::set<std::string> wanted;
  for (const auto& rules : snapshot.listeners)
    for (const config::Bind& bind : rules->config.binds) wanted.insert(name_in_store(bind));
  std::set<std::string> gone = handed_.drop_kept_but(wanted);
  for (const auto& [name, count] : stored_)
    if (wanted.count(name) == 0) gone.insert(name);
  give_up(gone);
}

void SocketOpener::forget_the_rest() { give_up(handed_.drop_kept_but({})); }

void SocketOpener::give_up(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    take_from_store(name);
    stored_.erase(name);
  }
  // What comes next may want the same port.
  if (!names.empty()) wait_for_manager();
}

}  // namespace sallyport
