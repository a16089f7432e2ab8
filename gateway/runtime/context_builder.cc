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
                                         bool http) {
  std::string key = format("server|{}|{}|{}", fingerprint_of(certificates), rule_key(rule), http);
  if (auto it = made_.find(key); it != made_.end()) return it->second;
  KeyPairs pairs = key_pairs(certificates);
  ClientCertRule client_rule{rule.ca, rule.verify == config::Verify::required, rule.crl};
  static constexpr std::string_view kHttp[] = {"http/1.1"};
  ServerContext options;
  options.policy = policy_;
  options.certificates = pairs.pairs;
  if (rule.enabled()) options.client_certificates = &client_rule;
  if (http) options.alpn = kHttp;
  options.session_id_context = http ? "http" : "tcp";
  options.tickets = tickets_;
  auto made = make_server_context(options);
  if (made) made_.emplace(key, *made);
  return made;
}

Result<std::unique_ptr<ContextTable>> ContextBuilder::table(const config::ClientCertificates& rule, bool http) {
  auto out = std::make_unique<ContextTable>();
  std::set<std::string> names;
  for (const auto& certificate : certs_->all()) names.insert(certificate->names.begin(), certificate->names.end());
  for (const std::string& name : names) {
    CertSet set = certs_->match(name);
    if (set.empty()) continue;
    auto context = server(set, rule, http);
    if (!context) return context.error();
    out->by_name.at(name) = *context;
  }
  if (!settings_.default_certificate.empty()) {
    auto set = certs_->by_file(settings_.default_certificate);
    if (!set) return set.error();
    auto context = server(*set, rule, http);
    if (!context) return context.error();
    out->fallback = *context;
  }
  return out;
}

Result<SslCtxPtr> ContextBuilder::upstream(const config::ServerTls& tls, bool http) {
  std::string key =
      format("upstream|{}|{}|{}|{}", tls.ca, tls.verify == config::Verify::required, tls.client_certificate, http);
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
  static constexpr std::string_view kHttp[] = {"http/1.1"};
  if (http) options.alpn = kHttp;
  auto made = make_upstream_context(options);
  if (made) made_.emplace(key, *made);
  return made;
}

}  // namespace sallyport
