#include "upstream/protocol_hint.h"

namespace sallyport {
namespace {

using config::Mode;
using Type = config::Health::Type;

constexpr uint8_t kAlert = 21;

// nginx; Go's net/http (Traefik, Caddy, Kubernetes, Prometheus, …); Apache httpd; Tomcat.
constexpr std::string_view kSayings[] = {
    "The plain HTTP request was sent to HTTPS port",
    "Client sent an HTTP request to an HTTPS server",
    "speaking plain HTTP to an SSL-enabled server port",
    "This combination of host and port requires TLS",
};

}  // namespace

bool is_tls_alert(Bytes seen) noexcept { return seen.size() >= 3 && seen[0] == kAlert && seen[1] == 3 && seen[2] <= 4; }

bool may_become_tls_alert(Bytes seen) noexcept {
  return seen.size() < 3 && (seen.empty() || seen[0] == kAlert) && (seen.size() < 2 || seen[1] == 3);
}

ProtocolHint hint_of_response(int status, std::string_view body) noexcept {
  if (status != 400) return ProtocolHint::none;
  for (std::string_view saying : kSayings)
    if (body.find(saying) != std::string_view::npos) return ProtocolHint::speaks_tls;
  return ProtocolHint::none;
}

ProtocolHint hint_of_tls_failure(std::string_view reason) noexcept {
  return reason == "not_tls" ? ProtocolHint::no_tls : ProtocolHint::none;
}

ServerSide server_side(const config::Service& service) noexcept {
  return {service.mode, service.mode == Mode::passthrough || service.server_tls.enabled};
}

std::string_view advice(ProtocolHint hint, ServerSide side, bool check_tls, Type type) noexcept {
  if (hint == ProtocolHint::speaks_tls) {
    if (side.tls && !check_tls)
      return type == Type::http ? "this server speaks TLS: check it with type https"
                                : "this server speaks TLS: check it with type tls";
    return side.mode == Mode::edge ? "this server speaks TLS: use mode reencrypt"
                                   : "this server speaks TLS: give the service server_tls";
  }
  if (hint == ProtocolHint::no_tls) {
    if (!side.tls && check_tls)
      return type == Type::https ? "this server does not speak TLS: check it with type http"
                                 : "this server does not speak TLS: check it with type tcp";
    return side.mode == Mode::reencrypt || side.mode == Mode::passthrough
               ? "this server does not speak TLS: use mode edge"
               : "this server does not speak TLS: leave server_tls out";
  }
  return {};
}

std::string_view advice(ProtocolHint hint, ServerSide side) noexcept { return advice(hint, side, side.tls, Type::off); }

}  // namespace sallyport
