// What a listener does with what arrives, ready for lookups: built with the snapshot, constant, shared by the workers.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "layers/host_table.h"
#include "layers/service.h"
#include "transport/tls_context.h"

namespace sallyport {

// The services of one host by path: prefix by segments, the longest wins.
class PathTable {
 public:
  // path begins with "/"; its spelling (see normalized_path) and a slash at its end make no difference. False: taken.
  bool add(const std::string& path, const Service* service);
  // target_path: as the client sent it, without the query. Null: no path matches.
  const Service* find(std::string_view target_path) const;
  bool empty() const noexcept { return by_path_.empty() && root_ == nullptr; }

 private:
  const Service* find_normalized(std::string_view path) const noexcept;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, const Service*, Hash, std::equal_to<>> by_path_;  // without the slash at the end
  const Service* root_ = nullptr;
};

// As routing compares it: percent-encoded unreserved characters decoded, other %XX in upper case, "//", "/./" and
// "/../" resolved (RFC 3986 section 6.2.2), so that no spelling of a path gets past a longer prefix. Returns the input itself where it is normal
// already.
std::string_view normalized_path(std::string_view path, std::string& storage);

// Picks the SSL_CTX for a name: exact, wildcard, then the default certificate's.
struct ContextTable {
  HostTable<SslCtxPtr> by_name;
  SslCtxPtr fallback;  // certificates.default; may be null
  SSL_CTX* pick(std::string_view sni) const noexcept {
    if (!sni.empty())
      if (const SslCtxPtr* found = by_name.find(sni)) return found->get();
    return fallback.get();
  }
};

// What serves a TLS name on a listener: one of passthrough, tcp, or paths.
struct TlsHost {
  const Service* passthrough = nullptr;
  const Service* tcp = nullptr;  // edge, reencrypt with protocol: tcp
  PathTable paths;
  SslCtxPtr fixed;  // `certificate:` of its services
  const ContextTable* contexts = nullptr;
  std::string client_rule;  // as Service::client_rule; one for all paths of a host
  const Service* first = nullptr;
};

struct PlainHost {
  PathTable paths;
};

// What plain HTTP gets for a host that is served over TLS, on whichever listener it comes in.
struct PlainFallback {
  uint16_t https_port = 0;  // where it is redirected to; 0: nowhere
  PathTable paths;          // of those that serve it; their plain_http says what is done
};

struct ListenerRules {
  std::string name;
  uint16_t public_port = 0;
  config::Listener config;
  std::shared_ptr<ListenerStats> stats = std::make_shared<ListenerStats>();  // of the name, as Service::stats
  HostTable<TlsHost> tls;
  HostTable<PlainHost> plain;
  const Service* ssh = nullptr;
  const Service* tcp = nullptr;
  const Service* immediate = nullptr;              // the only service here, ssh or tcp: connected to without sniffing
  bool terminates = false;                         // some TLS ends here
  const ContextTable* default_contexts = nullptr;  // for names that no service of this listener has
  const HostTable<PlainFallback>* plain_fallback = nullptr;  // shared by all listeners
  config::Timeouts timeouts;                                 // until a service is known
  const std::vector<Network>* trusted_proxies = nullptr;
};

// Where a request goes.
struct Route {
  enum class Kind : uint8_t { proxy, redirect, to_https, status };
  Kind kind = Kind::status;
  const Service* service = nullptr;  // proxy, redirect
  int status = 404;                  // status: 404 or 421
  uint16_t https_port = 443;         // to_https
};
// Inside terminated TLS. client_rule: of the connection, as its SNI decided.
Route route_tls(const ListenerRules& rules, std::string_view host, std::string_view path, std::string_view client_rule);
Route route_plain(const ListenerRules& rules, std::string_view host, std::string_view path);

}  // namespace sallyport
