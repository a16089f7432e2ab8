#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>

#include "base/unique_fd.h"
#include "net/dns_channel.h"
#include "net/loop.h"

namespace sallyport {
namespace {

constexpr std::chrono::seconds kHostTtl{5};    // getaddrinfo tells none
constexpr std::chrono::seconds kBrokenTtl{2};  // of an answer that lacks a part

std::atomic<int> pending_lookups{0};

struct Lookup {
  uv_getaddrinfo_t request{};
  Resolver::Answer answer;
  std::shared_ptr<bool> alive;
  std::string host;
  uint16_t port = 0;
};

addrinfo hints() noexcept {
  addrinfo out{};
  out.ai_family = AF_UNSPEC;
  out.ai_socktype = SOCK_STREAM;
  out.ai_flags = AI_ADDRCONFIG;
  return out;
}

Error failure(const std::string& name, const std::string& why) {
  return Error{Kind::unavailable, Side::upstream, Retry::no, 0, "cannot resolve", name + ": " + why};
}

// Asks the kernel for a route, and sends nothing.
bool has_route(const Address& address) noexcept {
  UniqueFd fd(socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno != EAFNOSUPPORT;
  if (connect(fd.get(), address.sa(), address.length()) == 0) return true;
  return errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT;
}

// The IPv6 addresses of a name are no servers for a host that has no IPv6.
void leave_out_unreachable(std::vector<Address>& addresses) {
  auto end = std::stable_partition(addresses.begin(), addresses.end(), has_route);
  if (end != addresses.begin()) addresses.erase(end, addresses.end());
}

Result<Resolved> collect(const addrinfo* list, const std::string& host, uint16_t port, const char* why) {
  Resolved out;
  out.ttl = kHostTtl;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const Address address = Address::from(entry->ai_addr, entry->ai_addrlen).with_port(port);
    if (std::find(out.addresses.begin(), out.addresses.end(), address) == out.addresses.end())
      out.addresses.push_back(address);
  }
  if (out.addresses.empty()) return failure(host, why);
  leave_out_unreachable(out.addresses);
  return out;
}

void done(uv_getaddrinfo_t* request, int status, addrinfo* list) {
  pending_lookups.fetch_sub(1);
  std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
  if (*lookup->alive)
    lookup->answer(collect(status == 0 ? list : nullptr, lookup->host, lookup->port,
                           status != 0 ? uv_strerror(status) : "no address"));
  if (list != nullptr) uv_freeaddrinfo(list);
}

}  // namespace

// A question for SRV records, while the targets' addresses come in.
struct Resolver::Service {
  std::string name;
  Answer answer;
  Resolved found;
  size_t waiting = 0;
};

Resolver::Resolver(Loop& loop, ResolverOptions options)
    : loop_(loop), options_(std::move(options)), alive_(std::make_shared<bool>(true)) {}

Resolver::~Resolver() { *alive_ = false; }

Resolver::Stamp Resolver::look_at_file() const {
  struct stat info {};
  if (::stat(options_.resolv_conf.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
          static_cast<uint64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(info.st_mtim.tv_nsec)};
}

DnsChannel* Resolver::channel() {
  std::erase_if(retired_, [](const auto& old) { return old->pending() == 0; });
  const Stamp stamp = look_at_file();
  if (dns_ && stamp == stamp_) return dns_.get();
  if (dns_) retired_.push_back(std::move(dns_));
  stamp_ = stamp;
  dns_ = DnsChannel::make(loop_, options_.resolv_conf, options_.port);
  return dns_.get();
}

void Resolver::resolve(const std::string& host, uint16_t port, Answer answer) {
  DnsChannel* dns = channel();
  if (dns == nullptr) return ask_host(host, port, std::move(answer));
  dns->addresses(host, [this, alive = alive_, host, port, answer = std::move(answer)](DnsReply reply) {
    if (!*alive) return;
    if (reply.kind == DnsReply::Kind::not_found) return ask_host(host, port, answer);
    if (reply.kind == DnsReply::Kind::failed) return answer(failure(host, reply.why));
    for (Address& address : reply.found.addresses) address = address.with_port(port);
    leave_out_unreachable(reply.found.addresses);
    answer(std::move(reply.found));
  });
}

void Resolver::ask_host(const std::string& host, uint16_t port, Answer answer) {
  auto lookup = std::make_unique<Lookup>();
  lookup->answer = std::move(answer);
  lookup->alive = alive_;
  lookup->host = host;
  lookup->port = port;
  lookup->request.data = lookup.get();
  addrinfo wanted = hints();
  int status = uv_getaddrinfo(loop_.uv(), &lookup->request, done, lookup->host.c_str(), nullptr, &wanted);
  if (status == 0) {
    pending_lookups.fetch_add(1);
    static_cast<void>(lookup.release());  // done() has it
    return;
  }
  // A name libuv will not even look at. Answer later, as every other time.
  std::shared_ptr<Lookup> refused(std::move(lookup));
  loop_.post([refused, status] {
    if (*refused->alive) refused->answer(failure(refused->host, uv_strerror(status)));
  });
}

void Resolver::resolve_srv(const std::string& name, Answer answer) {
  auto service = std::make_shared<Service>();
  service->name = name;
  service->answer = std::move(answer);
  DnsChannel* dns = channel();
  if (dns == nullptr) {
    loop_.post([alive = alive_, service] {
      if (*alive) service->answer(failure(service->name, "there is no DNS"));
    });
    return;
  }
  dns->services(name, [this, alive = alive_, service](DnsReply reply) {
    if (!*alive) return;
    if (reply.kind != DnsReply::Kind::found) return service->answer(failure(service->name, reply.why));
    service->found = std::move(reply.found);
    find_targets(service);
  });
}

void Resolver::find_targets(const std::shared_ptr<Service>& service) {
  service->waiting = service->found.targets.size();
  for (size_t i = 0; i < service->found.targets.size(); ++i) {
    const SrvTarget& target = service->found.targets[i];
    resolve(target.host, target.port, [service, i](Result<Resolved> answer) {
      Resolved& found = service->found;
      if (answer) found.targets[i].addresses = std::move(answer->addresses);
      found.ttl = std::min(found.ttl, answer ? answer->ttl : kBrokenTtl);
      if (--service->waiting > 0) return;
      const bool any = std::any_of(found.targets.begin(), found.targets.end(),
                                   [](const SrvTarget& one) { return !one.addresses.empty(); });
      if (any) return service->answer(std::move(found));
      service->answer(failure(service->name, "none of its targets has an address"));
    });
  }
}

int Resolver::pending() noexcept { return pending_lookups.load(); }

namespace {

template <class Ask>
Result<Resolved> wait_for(Ask ask) {
  Loop loop;
  Resolver resolver(loop);
  std::optional<Result<Resolved>> out;
  ask(resolver, [&](Result<Resolved> answer) {
    out.emplace(std::move(answer));
    loop.stop();
  });
  loop.run();
  return std::move(*out);
}

}  // namespace

Result<Resolved> resolve_now(const std::string& host, uint16_t port) {
  return wait_for(
      [&](Resolver& resolver, Resolver::Answer answer) { resolver.resolve(host, port, std::move(answer)); });
}

Result<Resolved> resolve_srv_now(const std::string& name) {
  return wait_for([&](Resolver& resolver, Resolver::Answer answer) { resolver.resolve_srv(name, std::move(answer)); });
}

}  // namespace sallyport
