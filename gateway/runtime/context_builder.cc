#include "runtime/context_builder.h"

#include <set>

#include "base/format.h"

namespace sallyport {
namespace {

struct KeyPairs {
  std::vector<std::vector<X509*>> chains;
  std::vector<KeyPair> pairs;
};

KeyPairs key_pairs(const CertSet& certificates) {
  KeyPairs out;
  for (const auto& certificate : certificates) {
    std::vector<X509*> chain;
    for (const auto& link : certificate->chain) chain.push_back(link.get());
    out.chains.push_back(std::move(chain));
  }
  for (size_t i = 0; i < certificates.size(); ++i)
    out.pairs.push_back({certificates[i]->leaf.get(), out.chains[i], certificates[i]->key.get()});
  return out;
}

// As they are offered, or looked for in an offer: the one we like best first.
std::span<const std::string_view> protocols(Alpn alpn) {
  static constexpr std::string_view kEither[] = {"h2", "http/1.1"};
  switch (alpn) {
    case Alpn::none: break;
    case Alpn::http1: return std::span(kEither).last(1);
    case Alpn::h2: return std::span(kEither).first(1);
    case Alpn::either: return kEither;
  }
  return {};
}

}  // namespace

ContextBuilder::ContextBuilder(const config::CertificateSettings& settings, std::shared_ptr<const CertStore> certs,
                               std::shared_ptr<const TicketKeys> tickets)
    : settings_(settings), certs_(std::move(certs)), tickets_(std::move(tickets)) {
  policy_.min_version = settings.min_version;
  policy_.ciphers = settings.ciphers;
  policy_.ciphersuites = settings.ciphersuites;
  policy_.groups = settings.groups;
}

std::string ContextBuilder::rule_key(const config::ClientCertificates& rule) {
  if (!rule.enabled()) return {};
  return format("{}|{}|{}", rule.ca, rule.verify == config::Verify::required ? "required" : "optional", rule.crl);
}

Result<SslCtxPtr> ContextBuilder::server(const CertSet& certificates, const config::ClientCertificates& rule,
                                         Alpn alpn) {
  if (alpn == Alpn::either && !kOfferH2ToClients) alpn = Alpn::http1;
  std::string key = format("server|{}|{}|{}", fingerprint_of(certificates), rule_key(rule), static_cast<int>(alpn));
  if (auto it = made_.find(key); it != made_.end()) return it->second;
  KeyPairs pairs = key_pairs(certificates);
  ClientCertRule client_rule{rule.ca, rule.verify == config::Verify::required, rule.crl};
  ServerContext options;
  options.policy = policy_;
  options.certificates = pairs.pairs;
  if (rule.enabled()) options.client_certificates = &client_rule;
  options.alpn = protocols(alpn);
  // Which HTTP it is is agreed on anew when a session is resumed; whether it is HTTP at all is not a client's to
  // change.
  options.session_id_context = alpn == Alpn::none ? "tcp" : "http";
  options.tickets = tickets_;
  auto made = make_server_context(options);
  if (made) made_.emplace(key, *made);
  return made;
}

Result<std::unique_ptr<ContextTable>> ContextBuilder::table(const config::ClientCertificates& rule, Alpn alpn) {
  auto out = std::make_unique<ContextTable>();
  std::set<std::string> names;
  for (const auto& certificate : certs_->all()) names.insert(certificate->names.begin(), certificate->names.end());
  for (const std::string& name : names) {
    CertSet set = certs_->match(name);
    if (set.empty()) continue;
    auto context = server(set, rule, alpn);
    if (!context) return context.error();
    out->by_name.at(name) = *context;
  }
  if (!settings_.default_certificate.empty()) {
    auto set = certs_->by_file(settings_.default_certificate);
    if (!set) return set.error();
    auto context = server(*set, rule, alpn);
    if (!context) return context.error();
    out->fallback = *context;
  }
  return out;
}

Result<SslCtxPtr> ContextBuilder::upstream(const config::ServerTls& tls, Alpn alpn) {
  if (alpn == Alpn::either && !kOfferH2ToServers) alpn = Alpn::http1;
  std::string key = format("upstream|{}|{}|{}|{}", tls.ca, tls.verify == config::Verify::required,
                           tls.client_certificate, static_cast<int>(alpn));
  if (auto it = made_.find(key); it != made_.end()) return it->second;
  UpstreamContext options;
  options.ca_file = tls.ca;
  options.verify = tls.verify == config::Verify::required;
  KeyPairs pairs;
  CertSet own;
  if (!tls.client_certificate.empty()) {
    auto set = certs_->by_file(tls.client_certificate);
    if (!set) return set.error();
    own = *set;
    pairs = key_pairs(own);
    options.client_certificate = &pairs.pairs.front();
  }
  options.alpn = protocols(alpn);
  auto made = make_upstream_context(options);
  if (made) made_.emplace(key, *made);
  return made;
}

}  // namespace sallyport
