#include "config/service_parts.h"

#include <array>

namespace sallyport::config {

unsigned kind_of(Mode mode, bool protocol_tcp) noexcept {
  switch (mode) {
    case Mode::passthrough: return kPassthrough;
    case Mode::edge: return protocol_tcp ? kEdgeTcp : kEdge;
    case Mode::reencrypt: return protocol_tcp ? kReencryptTcp : kReencrypt;
    case Mode::http: return kHttp;
    case Mode::redirect: return kRedirect;
    case Mode::ssh: return kSsh;
    case Mode::tcp: return kTcp;
  }
  return kAll;
}

std::string kind_text(unsigned kind) {
  switch (kind) {
    case kPassthrough: return "mode passthrough";
    case kEdge: return "mode edge";
    case kReencrypt: return "mode reencrypt";
    case kHttp: return "mode http";
    case kRedirect: return "mode redirect";
    case kSsh: return "mode ssh";
    case kTcp: return "mode tcp";
    case kEdgeTcp: return "mode edge with protocol: tcp";
    case kReencryptTcp: return "mode reencrypt with protocol: tcp";
    default: return "this mode";
  }
}

std::span<const ServiceParts::Key> ServiceParts::keys() noexcept {
  using P = ServiceParts;
  constexpr unsigned kNamed = kPassthrough | kTerminated | kHttp | kRedirect;  // routed by a host
  constexpr unsigned kProxied = kEdge | kReencrypt | kHttp;                    // requests go on to a server
  static constexpr std::array kKeys = {
      Key{"name", kAll, &P::known, false},
      Key{"mode", kAll, &P::known},
      Key{"protocol", kTerminated, &P::known},
      Key{"listen", kAll, &P::listen},
      Key{"hosts", kNamed, &P::hosts, false},
      Key{"paths", kRequests, &P::paths, false},
      Key{"servers", kForwarded, &P::servers, false},
      Key{"plain_http", kTerminated, &P::plain_http},
      Key{"redirect", kRedirect, &P::redirect},
      Key{"server_tls", kReencrypt | kReencryptTcp | kHttp | kSsh | kTcp, &P::server_tls},
      Key{"server_protocol", kEdge | kHttp, &P::server_protocol},
      Key{"balance", kForwarded, &P::balance},
      Key{"slow_start", kForwarded, &P::slow_start},
      Key{"sticky", kForwarded, &P::sticky},
      Key{"health", kForwarded, &P::health},
      Key{"queue", kForwarded, &P::queue},
      Key{"retries", kForwarded, &P::retries},
      Key{"retry_on", kForwarded, &P::retry_on},
      Key{"resolve", kForwarded, &P::resolve},
      Key{"proxy_protocol", kForwarded, &P::proxy_protocol},
      Key{"transparent", kForwarded, &P::transparent},
      Key{"timeouts", kAll, &P::timeouts},
      Key{"headers", kProxied, &P::headers},
      Key{"hsts", kRequests, &P::unsupported},
      Key{"access", kAll, &P::access},
      Key{"rate_limit", kAll, &P::unsupported},
      Key{"certificate", kTerminated | kRedirect, &P::certificate},
      Key{"client_certificates", kTerminated | kRedirect, &P::client_certificates},
      Key{"acme_challenge", kNamed, &P::acme_challenge},
      Key{"preset", kAll, &P::known, false},
  };
  return kKeys;
}

}  // namespace sallyport::config
