#include "net/resolver.h"

#include <netdb.h>

#include <atomic>

#include "net/loop.h"

namespace sallyport {
namespace {

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

Result<std::vector<Address>> collect(const addrinfo* list, const std::string& host, uint16_t port,
                                     const char* failure) {
  std::vector<Address> out;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next)
    out.push_back(Address::from(entry->ai_addr, entry->ai_addrlen).with_port(port));
  if (!out.empty()) return out;
  return Error{Kind::unavailable, Side::upstream, Retry::no, 0, "cannot resolve", host + ": " + failure};
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

void Resolver::resolve(const std::string& host, uint16_t port, Answer answer) {
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
  auto failed = std::make_shared<std::unique_ptr<Lookup>>(std::move(lookup));
  loop_.post([failed, status] {
    Lookup& it = **failed;
    if (*it.alive) it.answer(collect(nullptr, it.host, it.port, uv_strerror(status)));
  });
}

int Resolver::pending() noexcept { return pending_lookups.load(); }

Result<std::vector<Address>> resolve_now(const std::string& host, uint16_t port) {
  addrinfo wanted = hints();
  addrinfo* list = nullptr;
  int status = getaddrinfo(host.c_str(), nullptr, &wanted, &list);
  auto out = collect(status == 0 ? list : nullptr, host, port, status != 0 ? gai_strerror(status) : "no address");
  if (list != nullptr) freeaddrinfo(list);
  return out;
}

}  // namespace sallyport
