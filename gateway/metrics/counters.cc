#include "metrics/counters.h"

namespace sallyport {

const char* name_of(Rejection reason) noexcept {
  switch (reason) {
    case Rejection::unknown_protocol: return "unknown_protocol";
    case Rejection::bad_hello: return "bad_hello";
    case Rejection::no_route: return "no_route";
    case Rejection::bad_request: return "bad_request";
    case Rejection::bad_proxy_header: return "bad_proxy_header";
    case Rejection::untrusted_proxy: return "untrusted_proxy";
    case Rejection::access: return "access";
    case Rejection::max_connections: return "max_connections";
    case Rejection::no_descriptors: return "no_descriptors";
    case Rejection::timeout: return "timeout";
    case Rejection::busy: return "busy";
    case Rejection::flood: return "flood";
    case Rejection::kCount: break;
  }
  return "";
}

const char* name_of(TlsVersion version) noexcept {
  switch (version) {
    case TlsVersion::tls12: return "1.2";
    case TlsVersion::tls13: return "1.3";
    case TlsVersion::other: return "other";
    case TlsVersion::kCount: break;
  }
  return "";
}

const char* name_of(HandshakeFailure reason) noexcept {
  switch (reason) {
    case HandshakeFailure::certificate_expired: return "certificate_expired";
    case HandshakeFailure::certificate_missing: return "certificate_missing";
    case HandshakeFailure::certificate_name_mismatch: return "certificate_name_mismatch";
    case HandshakeFailure::certificate_refused_by_peer: return "certificate_refused_by_peer";
    case HandshakeFailure::certificate_required_by_peer: return "certificate_required_by_peer";
    case HandshakeFailure::certificate_revoked: return "certificate_revoked";
    case HandshakeFailure::certificate_unknown_ca: return "certificate_unknown_ca";
    case HandshakeFailure::certificate_verify: return "certificate_verify";
    case HandshakeFailure::crl_unusable: return "crl_unusable";
    case HandshakeFailure::cut: return "cut";
    case HandshakeFailure::malformed: return "malformed";
    case HandshakeFailure::no_application_protocol: return "no_application_protocol";
    case HandshakeFailure::no_shared_parameters: return "no_shared_parameters";
    case HandshakeFailure::not_tls: return "not_tls";
    case HandshakeFailure::other: return "other";
    case HandshakeFailure::peer_alert: return "peer_alert";
    case HandshakeFailure::protocol_version: return "protocol_version";
    case HandshakeFailure::unrecognized_name: return "unrecognized_name";
    case HandshakeFailure::timeout: return "timeout";
    case HandshakeFailure::drain: return "drain";
    case HandshakeFailure::kCount: break;
  }
  return "";
}

HandshakeFailure handshake_failure_of(std::string_view word) noexcept {
  for (size_t i = 0; i < static_cast<size_t>(HandshakeFailure::kCount); ++i)
    if (word == name_of(static_cast<HandshakeFailure>(i))) return static_cast<HandshakeFailure>(i);
  return HandshakeFailure::other;
}

}  // namespace sallyport
