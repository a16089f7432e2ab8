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

  // before: contexts of the snapshot before, by their keys; may be null.
  ContextBuilder(const config::CertificateSettings& settings, std::shared_ptr<const CertStore> certs,
                 std::shared_ptr<const TicketKeys> tickets, const std::map<std::string, SslCtxPtr>* before = nullptr);

  // The context for one set of certificates.
  Result<SslCtxPtr> server(const CertSet& certificates, const config::ClientCertificates& rule, Alpn alpn);
  // One entry for each name in the store, and the default certificate behind them.
  Result<std::unique_ptr<ContextTable>> table(const config::ClientCertificates& rule, Alpn alpn);
  // Towards servers.
  Result<SslCtxPtr> upstream(const config::ServerTls& tls, Alpn alpn);

  static std::string rule_key(const config::ClientCertificates& rule);
  // What towards servers would be made of now: equal for equal settings, files and certificates.
  std::string upstream_key(const config::ServerTls& tls, Alpn alpn) const;

  // Every context that was asked for, and how many of them are new.
  std::map<std::string, SslCtxPtr> take_made() noexcept { return std::move(made_); }
  size_t fresh() const noexcept { return fresh_; }

 private:
  const SslCtxPtr* known(const std::string& key);
  Result<SslCtxPtr> keep(const std::string& key, Result<SslCtxPtr> made);

  const config::CertificateSettings settings_;
  std::shared_ptr<const CertStore> certs_;
  std::shared_ptr<const TicketKeys> tickets_;
  TlsPolicy policy_;
  std::string policy_key_;
  const std::map<std::string, SslCtxPtr>* before_;
  std::map<std::string, SslCtxPtr> made_;
  size_t fresh_ = 0;
};

}  // namespace sallyport
