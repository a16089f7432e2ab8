// Everything that needs an SSL_CTX. Contexts are made while a snapshot is built, then only read: any worker may call
// SSL_new on them. One context serves one (policy, certificate set, client-certificate rule, ALPN list), never one
// service.
#pragma once
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "transport/tls_errors.h"

namespace sallyport {

class TicketKeys;

struct SslDeleter {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
// An SSL holds its own reference to the SSL_CTX: sessions outlive the snapshot that made their context.
using SslCtxPtr = std::shared_ptr<SSL_CTX>;

// How clients may speak to us. Empty: ours (TLS 1.2 with ECDHE and AEAD only, every TLS 1.3 suite; X25519MLKEM768 where
// the library has it, X25519, P-256, P-384).
struct TlsPolicy {
  std::string min_version = "1.2";  // "1.2" or "1.3"
  std::string ciphers{};            // OpenSSL cipher list, TLS 1.2
  std::string ciphersuites{};       // TLS 1.3
  std::string groups{};             // key exchange, in order of preference
  friend bool operator==(const TlsPolicy&, const TlsPolicy&) = default;
};

// Borrowed: the context takes its own references.
struct KeyPair {
  X509* leaf = nullptr;
  std::span<X509* const> chain{};  // intermediates, in order, without the leaf
  EVP_PKEY* key = nullptr;
};

// A certificate asked of clients. A certificate that is sent must be good, also when none is required.
struct ClientCertRule {
  std::string ca_file{};  // PEM: each certificate in it is a trust anchor, intermediates too
  bool required = true;
  std::string crl_file{};  // PEM; empty: no revocation check. Otherwise every issuer in the chain needs its CRL there
};

struct ServerContext {
  TlsPolicy policy{};
  std::span<const KeyPair> certificates{};  // at most one per key type; the client's signature algorithms choose
  const ClientCertRule* client_certificates = nullptr;
  // In our order of preference; empty: no protocol is agreed on. "h2" is passed over where the cipher of a TLS 1.2
  // handshake is one that HTTP/2 must not be used with.
  std::span<const std::string_view> alpn{};
  // Tells apart what must not share TLS sessions. The client-certificate rule and what stands in its files count by
  // themselves: a ticket given under one rule never resumes under another, nor after its CA or CRL changed.
  std::string_view session_id_context{};
  std::shared_ptr<const TicketKeys> tickets{};  // nullptr: no resumption
};

// TLS 1.2 and 1.3, stateless tickets (one per TLS 1.3 handshake), no session cache, no renegotiation, no compression,
// no early data. A peer's close without close_notify is reported as an error. Side::internal, Kind::config on a
// failure: detail says which setting or file.
Result<SslCtxPtr> make_server_context(const ServerContext& options);

// Whether the library takes the policy; detail names the setting it does not take.
Status check_policy(const TlsPolicy& policy);

struct UpstreamContext {
  std::string ca_file{};  // PEM, each certificate in it a trust anchor; empty: the system's store
  bool verify = true;
  const KeyPair* client_certificate = nullptr;
  std::span<const std::string_view> alpn{};  // what is offered; empty: the extension is not sent
};

// TLS 1.2 and 1.3 towards servers. Give each SSL a name (set_upstream_name), and sessions (UpstreamSessions::attach)
// after it.
Result<SslCtxPtr> make_upstream_context(const UpstreamContext& options);

// The name (normalised, or "" where the hello had none or an IP address) the connection was routed by. The handshake
// fails with unrecognized_name when the ClientHello OpenSSL reads has another: nobody gets past routing by hiding a
// name from it. Call before the handshake, once. Without it nothing is compared.
void set_routed_sni(SSL* ssl, std::string_view name);

// The name to verify and to send as SNI: a DNS name (the certificate's DNS SANs count, never its CN; no partial
// wildcards), or an IP address, with or without brackets (its IP SANs count, and no SNI is sent). Call before the
// handshake. Error: neither.
Status set_upstream_name(SSL* ssl, std::string_view name);

// Equal for upstream contexts between which TLS sessions may be shared; "" for any other context. Lives as long as the
// context.
std::string_view upstream_identity(const SSL_CTX* context) noexcept;

// A fatal unrecognized_name alert (RFC 6066 section 3) as a whole TLS record, for a hello that no service matches.
constexpr std::array<uint8_t, 7> unrecognized_name_alert() noexcept {
  return {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x70};
}

}  // namespace sallyport
