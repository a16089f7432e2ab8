#include "runtime/context_builder.h"

#include <sys/stat.h>

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

// Another where the file has been written or replaced.
std::string stamp(const std::string& file) {
  if (file.empty()) return {};
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return "none";
  return format("{}.{}.{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
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
                               std::shared_ptr<const TicketKeys> tickets,
                               const std::map<std::string, SslCtxPtr>* before)
    : settings_(settings), certs_(std::move(certs)), tickets_(std::move(tickets)), before_(before) {
  policy_.min_version = settings.min_version;
  policy_.ciphers = settings.ciphers;
  policy_.ciphersuites = settings.ciphersuites;
  policy_.groups = settings.groups;
  policy_key_ = format("{}|{}|{}|{}", settings.min_version, settings.ciphers, settings.ciphersuites, settings.groups);
}

const SslCtxPtr* ContextBuilder::known(const std::string& key) {
  if (auto it = made_.find(key); it != made_.end()) return &it->second;
  if (before_ == nullptr) return nullptr;
  auto it = before_->find(key);
  return it == before_->end() ? nullptr : &made_.emplace(key, it->second).first->second;
}

Result<SslCtxPtr> ContextBuilder::keep(const std::string& key, Result<SslCtxPtr> made) {
  if (!made) return made;
  made_.emplace(key, *made);
  ++fresh_;
  return made;
}

std::string ContextBuilder::rule_key(const config::ClientCertificates& rule) {
  if (!rule.enabled()) return {};
  return format("{}|{}|{}", rule.ca, rule.verify == config::Verify::required ? "required" : "optional", rule.crl);
}

Result<SslCtxPtr> ContextBuilder::server(const CertSet& certificates, const config::ClientCertificates& rule,
                                         Alpn alpn) {
  if (alpn == Alpn::either && !kOfferH2ToClients) alpn = Alpn::http1;
  std::string key = format("server|{}|{}|{}|{}|{}|{}", fingerprint_of(certificates), rule_key(rule), stamp(rule.ca),
                           stamp(rule.crl), static_cast<int>(alpn), policy_key_);
  if (const SslCtxPtr* found = known(key)) return *found;
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
  return keep(key, make_server_context(options));
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
  const std::string key = upstream_key(tls, alpn);
  if (const SslCtxPtr* found = known(key)) return *found;
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
  return keep(key, make_upstream_context(options));
}

std::string ContextBuilder::upstream_key(const config::ServerTls& tls, Alpn alpn) const {
  if (alpn == Alpn::either && !kOfferH2ToServers) alpn = Alpn::http1;
  std::string own;
  if (!tls.client_certificate.empty())
    if (auto set = certs_->by_file(tls.client_certificate)) own = fingerprint_of(*set);
  return format("upstream|{}|{}|{}|{}|{}|{}", tls.ca, stamp(tls.ca), tls.verify == config::Verify::required,
                tls.client_certificate, own, static_cast<int>(alpn));
}

}  // namespace sallyport
