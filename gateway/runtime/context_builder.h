// Makes the TLS contexts of a snapshot, each one once: one costs half a millisecond and 22 KiB.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "certs/cert_store.h"
#include "config/model.h"
#include "layers/rules.h"
#include "transport/ticket_keys.h"
#include "transport/tls_context.h"

namespace sallyport {

// The protocols that the two sides of a TLS connection may agree on. either: HTTP/2 if both speak it.
enum class Alpn : uint8_t { none, http1, h2, either };

class ContextBuilder {
 public:
  // HTTP/2 is offered to clients, and to servers with `protocol: auto`, once there is a flow for it: true then.
  static constexpr bool kOfferH2ToClients = true;
  static constexpr bool kOfferH2ToServers = true;

  ContextBuilder(const config::CertificateSettings& settings, std::shared_ptr<const CertStore> certs,
                 std::shared_ptr<const TicketKeys> tickets);

  // The context for one set of certificates.
  Result<SslCtxPtr> server(const CertSet& certificates, const config::ClientCertificates& rule, Alpn alpn);
  // One entry for each name in the store, and the default certificate behind them.
  Result<std::unique_ptr<ContextTable>> table(const config::ClientCertificates& rule, Alpn alpn);
  // Towards servers.
  Result<SslCtxPtr> upstream(const config::ServerTls& tls, Alpn alpn);

  static std::string rule_key(const config::ClientCertificates& rule);

 private:
  const config::CertificateSettings& settings_;
  std::shared_ptr<const CertStore> certs_;
  std::shared_ptr<const TicketKeys> tickets_;
  TlsPolicy policy_;
  std::map<std::string, SslCtxPtr> made_;
};

}  // namespace sallyport
