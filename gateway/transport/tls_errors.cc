#include "transport/tls_errors.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <cstring>
#include <string_view>

namespace sallyport {
namespace {

// SSL_R_* of an alert that came from the peer are this plus the alert's number (RFC 8446 section 6).
constexpr int kPeerAlert = SSL_AD_REASON_OFFSET;

const char* alert_word(int alert) noexcept {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED: return "certificate_refused_by_peer";
    case TLS13_AD_CERTIFICATE_REQUIRED: return "certificate_required_by_peer";
    case SSL_AD_PROTOCOL_VERSION: return "protocol_version";
    case SSL_AD_UNRECOGNIZED_NAME: return "unrecognized_name";
    case SSL_AD_NO_APPLICATION_PROTOCOL: return "no_application_protocol";
    default: return "peer_alert";
  }
}

const char* verify_word(long result) noexcept {
  switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "certificate_name_mismatch";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return "certificate_expired";
    case X509_V_ERR_CERT_REVOKED: return "certificate_revoked";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID: return "crl_unusable";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return "certificate_unknown_ca";
    default: return "certificate_verify";
  }
}

void append_reason(std::string& out, unsigned long code, const SSL* ssl) {
  if (ERR_SYSTEM_ERROR(code)) {
    out += std::strerror(ERR_GET_REASON(code));
    return;
  }
  const char* words = ERR_reason_error_string(code);
  int reason = ERR_GET_REASON(code);
  bool of_tls = ERR_GET_LIB(code) == ERR_LIB_SSL;
  if (of_tls && reason >= kPeerAlert) {
    // "tlsv1 alert unknown ca" names the version that invented the alert, which says nothing about this connection.
    std::string_view text = words == nullptr ? "" : words;
    size_t at = text.find(" alert ");
    out += "the peer sent an alert: ";
    out += at == std::string_view::npos ? SSL_alert_desc_string_long(reason - kPeerAlert) : text.substr(at + 7);
    return;
  }
  if (words == nullptr) {
    out += "error ";
    out += std::to_string(code);
    return;
  }
  out += words;
  if (of_tls && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && ssl != nullptr) {
    long result = SSL_get_verify_result(ssl);
    if (result != X509_V_OK) {
      out += ": ";
      out += X509_verify_cert_error_string(result);
    }
  }
}

}  // namespace

const char* const kTlsFailureReasons[] = {
    "certificate_expired",
    "certificate_missing",
    "certificate_name_mismatch",
    "certificate_refused_by_peer",
    "certificate_required_by_peer",
    "certificate_revoked",
    "certificate_unknown_ca",
    "certificate_verify",
    "crl_unusable",
    "cut",
    "malformed",
    "no_application_protocol",
    "no_shared_parameters",
    "not_tls",
    "other",
    "peer_alert",
    "protocol_version",
    "unrecognized_name",
    nullptr,
};

void clear_tls_errors() noexcept {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string tls_error_text(const SSL* ssl) {
  std::string out;
  std::string previous;
  // The first error is the cause; what lies above it in the queue is what it led to.
  for (int shown = 0; unsigned long code = ERR_get_error();) {
    if (shown == 2) continue;
    std::string reason;
    append_reason(reason, code, ssl);
    if (reason == previous) continue;
    if (!out.empty()) out += "; ";
    out += reason;
    previous = std::move(reason);
    ++shown;
  }
  return out;
}

const char* tls_failure_reason(const SSL* ssl) {
  unsigned long code = ERR_peek_error();
  if (code == 0 || ERR_SYSTEM_ERROR(code)) return "cut";
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return "other";
  int reason = ERR_GET_REASON(code);
  if (reason >= kPeerAlert) return alert_word(reason - kPeerAlert);
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return verify_word(ssl == nullptr ? X509_V_OK : SSL_get_verify_result(ssl));
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "certificate_missing";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE: return "protocol_version";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SHARED_GROUPS: return "no_shared_parameters";
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER: return "not_tls";
    case SSL_R_NO_APPLICATION_PROTOCOL: return "no_application_protocol";
    case SSL_R_CALLBACK_FAILED:  // the only callback of ours that refuses is the one that compares names
    case SSL_R_CLIENTHELLO_TLSEXT: return "unrecognized_name";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "cut";
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_BAD_EXTENSION:
    case SSL_R_LENGTH_MISMATCH:
    case SSL_R_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_TOO_SHORT:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_BAD_KEY_SHARE:
    case SSL_R_BAD_PACKET: return "malformed";
    default: return "other";
  }
}

Error tls_error(const SSL* ssl, Side side, Retry retry, const char* what) {
  bool cut = std::string_view(tls_failure_reason(ssl)) == "cut";
  return Error{cut ? Kind::cut : Kind::tls, side, retry, 0, what, tls_error_text(ssl)};
}

}  // namespace sallyport
