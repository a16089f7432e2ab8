// What c-ares 1.34 recommends in place of the functions used here is not in the version that Debian 12 has.
#define CARES_NO_DEPRECATED
#include "net/dns_channel.h"

#include <ares.h>
#include <sys/time.h>

#include <algorithm>
#include <climits>

#include "net/srv_reply.h"

namespace sallyport {
namespace {

// resolv.conf's own times are for programs that have nothing to go on with. Here the last answer is kept and the name
// is asked for again, so that giving up soon costs nothing. Doubled with each try.
constexpr int kTimeoutMs = 2'000;
constexpr int kTries = 2;

DnsReply::Kind kind_of(int status) noexcept {
  switch (status) {
    case ARES_SUCCESS: return DnsReply::Kind::found;
    // A name server that is silent would hold up one of libuv's few threads as well, for longer.
    case ARES_ETIMEOUT:
    case ARES_EBADRESP:
    case ARES_ENOMEM:
    case ARES_ECANCELLED: return DnsReply::Kind::failed;
    default: return DnsReply::Kind::not_found;
  }
}

std::chrono::seconds seconds(int ttl) noexcept { return std::chrono::seconds(std::max(ttl, 0)); }

Resolved collect(const ares_addrinfo& list) {
  Resolved out;
  int ttl = INT_MAX;
  for (const ares_addrinfo_cname* alias = list.cnames; alias != nullptr; alias = alias->next)
    ttl = std::min(ttl, alias->ttl);
  for (const ares_addrinfo_node* node = list.nodes; node != nullptr; node = node->ai_next) {
    const Address address = Address::from(node->ai_addr, node->ai_addrlen);
    if (!address.is_ip()) continue;
    ttl = std::min(ttl, node->ai_ttl);
    if (std::find(out.addresses.begin(), out.addresses.end(), address) == out.addresses.end())
      out.addresses.push_back(address);
  }
  if (ttl != INT_MAX) out.ttl = seconds(ttl);
  return out;
}

}  // namespace

struct DnsChannel::Question {
  DnsChannel* channel;
  Done done;
  DnsReply reply;
};

struct DnsChannel::Socket {
  uv_poll_t handle{};
  DnsChannel* channel = nullptr;
  int fd = -1;
};

std::unique_ptr<DnsChannel> DnsChannel::make(Loop& loop, const std::string& resolv_conf, uint16_t port) {
  static const int ready = ares_library_init(ARES_LIB_INIT_ALL);
  if (ready != ARES_SUCCESS) return nullptr;
  std::unique_ptr<DnsChannel> channel(new DnsChannel(loop));
  std::string path = resolv_conf;
  ares_options wanted{};
  int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF | ARES_OPT_UDP_PORT |
             ARES_OPT_TCP_PORT;
  wanted.sock_state_cb = on_socket;
  wanted.sock_state_cb_data = channel.get();
  wanted.timeout = kTimeoutMs;
  wanted.tries = kTries;
  wanted.resolvconf_path = path.data();
  wanted.udp_port = wanted.tcp_port = port;
#ifdef ARES_OPT_QUERY_CACHE
  // A name is asked for when the answer is wanted anew: a cache of c-ares' own would give the old one again.
  mask |= ARES_OPT_QUERY_CACHE;
  wanted.qcache_max_ttl = 0;
#endif
  if (ares_init_options(&channel->ares_, &wanted, mask) != ARES_SUCCESS) {
    channel->ares_ = nullptr;
    return nullptr;
  }
  return channel;
}

DnsChannel::~DnsChannel() {
  if (ares_ != nullptr) ares_destroy(ares_);
  while (!sockets_.empty()) watch(sockets_.begin()->first, 0);
}

void DnsChannel::addresses(const std::string& host, Done done) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ++pending_;
  ares_getaddrinfo(ares_, host.c_str(), nullptr, &hints, on_addresses, new Question{this, std::move(done), {}});
  schedule();
}

void DnsChannel::services(const std::string& name, Done done) {
  constexpr int kInternet = 1;
  constexpr int kSrv = 33;
  ++pending_;
  ares_search(ares_, name.c_str(), kInternet, kSrv, on_services, new Question{this, std::move(done), {}});
  schedule();
}

void DnsChannel::on_addresses(void* arg, int status, int, ares_addrinfo* list) {
  std::unique_ptr<Question> question(static_cast<Question*>(arg));
  Resolved found;
  if (list != nullptr) {
    if (status == ARES_SUCCESS) found = collect(*list);
    ares_freeaddrinfo(list);
  }
  if (status == ARES_SUCCESS && found.addresses.empty()) status = ARES_ENODATA;
  finish(std::move(question), status, std::move(found));
}

void DnsChannel::on_services(void* arg, int status, int, unsigned char* message, int length) {
  std::unique_ptr<Question> question(static_cast<Question*>(arg));
  Resolved found;
  if (status == ARES_SUCCESS) {
    auto parsed = parse_srv_reply({message, static_cast<size_t>(std::max(length, 0))});
    if (parsed)
      found = std::move(*parsed);
    else
      status = ARES_ENODATA;
  }
  finish(std::move(question), status, std::move(found));
}

// c-ares calls back in the middle of its work: whoever asked hears of it when that is done.
void DnsChannel::finish(std::unique_ptr<Question> question, int status, Resolved found) {
  DnsChannel& channel = *question->channel;
  --channel.pending_;
  if (status == ARES_EDESTRUCTION) return;
  question->reply.kind = kind_of(status);
  question->reply.why = ares_strerror(status);
  question->reply.found = std::move(found);
  std::shared_ptr<Question> box(std::move(question));
  channel.loop_.post([box] { box->done(std::move(box->reply)); });
}

void DnsChannel::on_socket(void* channel, int fd, int readable, int writable) {
  static_cast<DnsChannel*>(channel)->watch(fd, (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0));
}

// events 0: c-ares closes the descriptor when this returns.
void DnsChannel::watch(int fd, int events) {
  auto it = sockets_.find(fd);
  if (events == 0) {
    if (it == sockets_.end()) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&it->second->handle),
             [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
    sockets_.erase(it);
    loop_.uv();
    return;
  }
  if (it == sockets_.end()) {
    auto made = std::make_unique<Socket>();
    made->channel = this;
    made->fd = fd;
    made->handle.data = made.get();
    if (uv_poll_init(loop_.uv(), &made->handle, fd) != 0) return;  // its question times out
    it = sockets_.emplace(fd, made.release()).first;
  }
  loop_.uv();
  uv_poll_start(&it->second->handle, events, on_ready);
}

void DnsChannel::on_ready(uv_poll_t* handle, int status, int events) {
  const Socket& socket = *static_cast<Socket*>(handle->data);
  const bool failed = status < 0;
  // May close the socket, and free it.
  socket.channel->process(failed || (events & UV_READABLE) != 0 ? socket.fd : ARES_SOCKET_BAD,
                          failed || (events & UV_WRITABLE) != 0 ? socket.fd : ARES_SOCKET_BAD);
}

void DnsChannel::process(int readable, int writable) {
  ares_process_fd(ares_, readable, writable);
  schedule();
}

void DnsChannel::schedule() {
  timeval storage{};
  const timeval* next = ares_timeout(ares_, nullptr, &storage);
  if (next == nullptr) return deadline_.disarm();
  loop_.arm(deadline_, std::chrono::milliseconds(next->tv_sec * 1000 + next->tv_usec / 1000 + 1));
}

void DnsChannel::on_deadline(Deadline&) { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

}  // namespace sallyport
