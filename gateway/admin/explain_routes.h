// The services that stand for a host, found by walking over all of them.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "admin/explain_match.h"
#include "runtime/snapshot.h"

namespace sallyport {

// One service that has the host.
struct RouteCandidate {
  const Service* service = nullptr;
  const config::Service* written = nullptr;  // as the files say it now: places are taken from here
  HostMatch host;
  const config::Service& config() const noexcept { return service->config; }
  const std::string& pattern() const { return service->config.hosts[host.index]; }
  const config::Position& host_position() const {
    return host.index < written->host_positions.size() ? written->host_positions[host.index] : written->at;
  }
};

// Those whose pattern fits best, and those whose pattern fits less well.
struct HostGroup {
  HostFit fit = HostFit::none;
  std::vector<RouteCandidate> members;
  std::vector<RouteCandidate> lesser;
  bool found() const noexcept { return fit != HostFit::none; }
};

enum class RouteKind : uint8_t {
  tls,       // what serves TLS: passthrough, edge, reencrypt, redirect
  plain,     // what serves plain HTTP of itself: http, redirect
  of_https,  // what plain HTTP is answered for: passthrough, edge, reencrypt
};

class RouteFinder {
 public:
  explicit RouteFinder(const Snapshot& snapshot);

  // listener: empty for all of them.
  HostGroup find(RouteKind kind, std::string_view listener, std::string_view host) const;
  // A member that takes its host whole: passthrough, or protocol: tcp.
  static const RouteCandidate* whole_host(const HostGroup& group) noexcept;
  struct ByPath {
    const RouteCandidate* candidate = nullptr;
    PathMatch path;
  };
  // The member with the longest path; of several that plain HTTP may go to, one that serves it goes first, then one
  // that redirects it.
  static ByPath by_path(const HostGroup& group, const Segments& path);

  // Of the listener: the service of mode ssh or tcp; null: none.
  const Service* of_mode(std::string_view listener, config::Mode mode) const noexcept;
  // Whether the listener has any of that kind.
  bool any(RouteKind kind, std::string_view listener) const noexcept;
  bool ends_tls(std::string_view listener) const noexcept;
  const config::Service& written(const Service& service) const noexcept;
  const Snapshot& snapshot() const noexcept { return snapshot_; }

 private:
  const Snapshot& snapshot_;
  std::unordered_map<std::string_view, const config::Service*> written_;
};

bool stands_on(const config::Service& service, std::string_view listener) noexcept;
bool same_client_rule(const config::ClientCertificates& a, const config::ClientCertificates& b) noexcept;

}  // namespace sallyport
