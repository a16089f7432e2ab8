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

class ContextBuilder {
 public:
  ContextBuilder(const config::CertificateSettings& settings, std::shared_ptr<const CertStore> certs,
                 std::shared_ptr<const TicketKeys> tickets);

  // The context for one set of certificates; http: ALPN is agreed on.
  Result<SslCtxPtr> server(const CertSet& certificates, const config::ClientCertificates& rule, bool http);
  // One entry for each name in the store, and the default certificate behind them.
  Result<std::unique_ptr<ContextTable>> table(const config::ClientCertificates& rule, bool http);
  // Towards servers.
  Result<SslCtxPtr> upstream(const config::ServerTls& tls, bool http);

  static std::string rule_key(const config::ClientCertificates& rule);

 private:
  const config::CertificateSettings& settings_;
  std::shared_ptr<const CertStore> certs_;
  std::shared_ptr<const TicketKeys> tickets_;
  TlsPolicy policy_;
  std::map<std::string, SslCtxPtr> made_;
};

}  // namespace sallyport
