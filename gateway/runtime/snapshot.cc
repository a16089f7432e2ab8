#include "runtime/snapshot.h"

#include <algorithm>
#include <fstream>

#include "base/format.h"
#include "runtime/certificate_warnings.h"
#include "runtime/context_builder.h"
#include "runtime/upstream_builder.h"

namespace sallyport {
namespace {

using config::Fault;
using config::Mode;
using config::Severity;

bool terminates_tls(const config::Service& service) {
  return service.mode == Mode::edge || service.mode == Mode::reencrypt || service.mode == Mode::redirect;
}

// What its clients may speak where it ends their TLS.
Alpn client_alpn(const config::Service& service, const config::Listener& listener) {
  if (service.protocol_tcp) return Alpn::none;
  return listener.http2.enabled ? Alpn::either : Alpn::http1;
}

bool listens_on(const config::Service& service, const std::string& listener) {
  return std::find(service.listeners.begin(), service.listeners.end(), listener) != service.listeners.end();
}

class Builder {
 public:
  Builder(Snapshot& snapshot, const std::shared_ptr<const TicketKeys>& tickets, const Snapshot* previous,
          std::string_view cookie_secret)
      : snapshot_(snapshot), previous_(previous), tickets_(tickets), cookie_secret_(cookie_secret) {
    contexts_ = make_contexts(snapshot.config.gateway.certificates);
    if (previous == nullptr) return;
    for (const auto& service : previous->services) before_.emplace(service->config.name, service);
    for (const auto& listener : previous->listeners) listener_stats_.emplace(listener->name, listener->stats);
  }

  void run() {
    check_gateway_tls();
    choose_slots();
    build_services();
    index_services();
    build_listeners();
    build_plain_fallback();
    warn_of_certificates();
    snapshot_.tls_contexts_made = contexts_->fresh();
    snapshot_.tls_contexts = contexts_->take_made();
  }

 private:
  config::Config& config() { return snapshot_.config; }

  std::unique_ptr<ContextBuilder> make_contexts(const config::CertificateSettings& settings) {
    return std::make_unique<ContextBuilder>(settings, snapshot_.certs, tickets_,
                                            previous_ != nullptr ? &previous_->tls_contexts : nullptr);
  }

  void fault(Severity severity, const config::Position& at, std::string message, const std::string& service) {
    config().faults.push_back(Fault{severity, at, std::move(message), source_line(at), service});
  }

  // The line a fault is about, for its excerpt; empty where there is none to show.
  std::string source_line(const config::Position& at) {
    if (at.line <= 0) return {};
    std::ifstream file(config().directory / at.file);
    std::string line;
    for (int i = 0; i < at.line; ++i)
      if (!std::getline(file, line)) return {};
    return line;
  }

  // A policy OpenSSL refuses, or a default certificate that is none, concerns every service.
  void check_gateway_tls() {
    const config::CertificateSettings& settings = config().gateway.certificates;
    auto plain = table_for({}, Alpn::either);
    if (plain) return;
    fault(Severity::error, settings.default_at.line > 0 ? settings.default_at : settings.at, plain.error().text(), {});
    config().gateway_faulty = true;
    if (previous_ == nullptr) return;
    // While serving, the certificates and the policy of before go on.
    tables_.clear();
    snapshot_.contexts.clear();
    config().gateway.certificates = previous_->config.gateway.certificates;
    snapshot_.certs = previous_->certs;
    contexts_ = make_contexts(config().gateway.certificates);
  }

  Result<const ContextTable*> table_for(const config::ClientCertificates& rule, Alpn alpn) {
    auto key = std::make_pair(ContextBuilder::rule_key(rule), alpn);
    if (auto it = tables_.find(key); it != tables_.end()) return it->second;
    auto made = contexts_->table(rule, alpn);
    if (!made) return made.error();
    const ContextTable* table = made->get();
    snapshot_.contexts.push_back(std::move(*made));
    tables_.emplace(std::move(key), table);
    return table;
  }

  // A service that is in both snapshots keeps its slot.
  void choose_slots() {
    if (previous_ == nullptr) return;
    for (size_t slot = 0; slot < previous_->slots.size(); ++slot)
      if (previous_->slots[slot] == nullptr) free_slots_.push_back(slot);
    next_slot_ = previous_->slots.size();
  }

  size_t take_slot() {
    if (free_slots_.empty()) return next_slot_++;
    const size_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }

  void build_services() {
    // There may be a hundred thousand: those that are good stay where they are, or move up.
    size_t good = 0;
    for (config::Service& wanted : config().services) {
      if (!build_service(wanted)) continue;
      if (&config().services[good] != &wanted) config().services[good] = std::move(wanted);
      ++good;
    }
    config().services.resize(good);
    // What has a fault in its file now goes on as it was.
    std::vector<config::Service> kept = std::move(config().kept);
    config().kept.clear();
    for (config::Service& service : kept)
      if (snapshot_.service(service.name) || build_service(service)) config().kept.push_back(std::move(service));
  }

  // False: it has a fault, and there is no good version of before.
  bool build_service(const config::Service& wanted) {
    const auto found = before_.find(wanted.name);
    const std::shared_ptr<const Service> old = found == before_.end() ? nullptr : found->second;
    const uint16_t port = listener_port_of(wanted);
    UpstreamBuilder upstreams(*contexts_, cookie_secret_, snapshot_.rewrites);
    const std::string made_from = std::to_string(port) + upstreams.materials(wanted);
    auto service = std::make_shared<Service>();
    service->config = wanted;
    service->made_from = made_from;
    service->client_rule = ContextBuilder::rule_key(wanted.client_certificates);
    config::Position at = wanted.at;
    Status built = build_tls(*service);
    if (built && old && old->config.fingerprint == wanted.fingerprint && old->made_from == made_from) {
      add(old);
      return true;
    }
    if (built && wanted.mode != Mode::redirect) {
      auto made = upstreams.build(wanted, old ? old->upstream.get() : nullptr, port);
      built = made ? success() : Status(made.error());
      if (made) service->upstream = std::move(*made);
      if (wanted.server_tls.at.line > 0) at = wanted.server_tls.at;
    }
    if (built) {
      service->stats = old ? old->stats : std::make_shared<ServiceStats>();
      service->slot = take_slot();
      add(std::move(service));
      return true;
    }
    fault(Severity::error, at, built.error().text(), wanted.name);
    config().left_out.push_back(wanted.name);
    if (!old) return false;
    config().kept.push_back(old->config);
    add(old);
    return false;
  }

  void add(std::shared_ptr<const Service> service) {
    snapshot_.by_name.emplace(service->config.name, snapshot_.services.size());
    snapshot_.services.push_back(std::move(service));
  }

  void index_services() {
    for (const auto& service : snapshot_.services) {
      if (service->slot >= snapshot_.slots.size()) snapshot_.slots.resize(service->slot + 1);
      snapshot_.slots[service->slot] = service.get();
    }
  }

  uint16_t listener_port_of(const config::Service& service) {
    uint16_t port = 0;
    for (const std::string& name : service.listeners)
      if (const config::Listener* listener = config().listener(name); listener != nullptr && !listener->binds.empty())
        port = listener->binds.front().address.port();
    return port;
  }

  // Makes everything the service's TLS needs, so that what is wrong with it is known before any route is.
  Status build_tls(const Service& service) {
    if (!terminates_tls(service.config)) return success();
    for (const std::string& name : service.config.listeners) {
      const config::Listener* listener = config().listener(name);
      if (listener == nullptr) continue;
      const Alpn alpn = client_alpn(service.config, *listener);
      auto table = table_for(service.config.client_certificates, alpn);
      if (!table) return table.error();
      if (service.config.certificate.empty()) continue;
      if (auto fixed = fixed_context(service.config, alpn); !fixed) return fixed.error();
    }
    return success();
  }

  Result<SslCtxPtr> fixed_context(const config::Service& service, Alpn alpn) {
    auto set = snapshot_.certs->by_file(service.certificate);
    if (!set) return set.error();
    auto made = contexts_->server(*set, service.client_certificates, alpn);
    if (made) snapshot_.fixed[fixed_key(service, alpn)] = *made;
    return made;
  }

  static std::string fixed_key(const config::Service& service, Alpn alpn) {
    return format("{}|{}|{}", service.certificate, ContextBuilder::rule_key(service.client_certificates),
                  static_cast<int>(alpn));
  }

  // The certificate of before, where the file holds none now.
  SslCtxPtr last_fixed(const config::Service& service, Alpn alpn) {
    if (previous_ == nullptr) return nullptr;
    const auto found = previous_->fixed.find(fixed_key(service, alpn));
    if (found == previous_->fixed.end()) return nullptr;
    snapshot_.fixed[found->first] = found->second;
    return found->second;
  }

  void build_listeners() {
    for (const config::Listener& wanted : config().listeners) {
      if (wanted.off) continue;
      auto rules = std::make_unique<ListenerRules>();
      rules->name = wanted.name;
      rules->config = wanted;
      if (const auto known = listener_stats_.find(wanted.name); known != listener_stats_.end()) rules->stats = known->second;
      rules->public_port = wanted.public_port;
      rules->timeouts = config().gateway.default_timeouts;
      if (auto table = table_for({}, wanted.http2.enabled ? Alpn::either : Alpn::http1))
        rules->default_contexts = *table;
      rules->plain_fallback = &snapshot_.plain_fallback;
      rules->trusted_proxies = &snapshot_.config.gateway.trusted_proxies;
      size_t others = 0;
      for (const auto& service : snapshot_.services) {
        if (!listens_on(service->config, wanted.name)) continue;
        if (service->config.mode == Mode::ssh) {
          rules->ssh = service.get();
        } else if (service->config.mode == Mode::tcp) {
          rules->tcp = service.get();
        } else {
          ++others;
          add_routes(*rules, *service);
        }
      }
      if (others == 0 && (rules->ssh == nullptr) != (rules->tcp == nullptr))
        rules->immediate = rules->ssh != nullptr ? rules->ssh : rules->tcp;
      // The built-in ssh listener exists when a service uses it.
      if (wanted.name == "ssh" && rules->ssh == nullptr && rules->tcp == nullptr && others == 0) continue;
      snapshot_.listeners.push_back(std::move(rules));
    }
  }

  void add_routes(ListenerRules& rules, const Service& service) {
    const config::Service& wanted = service.config;
    for (const std::string& host : wanted.hosts) {
      if (wanted.mode == Mode::passthrough) rules.tls.at(host).passthrough = &service;
      if (terminates_tls(wanted)) add_tls_route(rules, service, host);
      if (wanted.mode == Mode::http || wanted.mode == Mode::redirect) add_paths(rules.plain.at(host).paths, service);
    }
  }

  // What plain HTTP gets for hosts that are served over TLS. Services on different listeners may have the same host and
  // path: one that serves it goes first, then one that redirects to itself.
  void build_plain_fallback() {
    for (const auto kind : {config::PlainHttp::serve, config::PlainHttp::redirect, config::PlainHttp::refuse})
      for (const auto& rules : snapshot_.listeners)
        for (const auto& service : snapshot_.services) {
          const config::Service& wanted = service->config;
          const bool over_tls = wanted.mode == Mode::passthrough || wanted.mode == Mode::edge || wanted.mode == Mode::reencrypt;
          if (!over_tls || wanted.protocol_tcp || wanted.plain_http != kind || !listens_on(wanted, rules->name)) continue;
          for (const std::string& host : wanted.hosts) {
            add_paths(snapshot_.plain_fallback.at(host).paths, *service);
            if (kind == config::PlainHttp::redirect) note_https(host, *rules);
          }
        }
  }

  void add_tls_route(ListenerRules& rules, const Service& service, const std::string& host) {
    TlsHost& entry = rules.tls.at(host);
    rules.terminates = true;
    if (entry.first == nullptr) {
      entry.first = &service;
      entry.client_rule = service.client_rule;
      const Alpn alpn = client_alpn(service.config, rules.config);
      if (auto table = table_for(service.config.client_certificates, alpn)) entry.contexts = *table;
      if (!service.config.certificate.empty())
      {
        auto fixed = fixed_context(service.config, alpn);
        entry.fixed = fixed ? *fixed : last_fixed(service.config, alpn);
      }
    }
    if (service.config.protocol_tcp) {
      entry.tcp = &service;
    } else {
      add_paths(entry.paths, service);
    }
  }

  static void add_paths(PathTable& table, const Service& service) {
    for (const std::string& path : service.config.paths) table.add(path, &service);
  }

  // Where plain HTTP for the host is sent: a host on several listeners keeps the https one.
  void note_https(const std::string& host, const ListenerRules& rules) {
    uint16_t& entry = snapshot_.plain_fallback.at(host).https_port;
    if (entry != 0 && rules.name != "https") return;
    entry = rules.public_port;
    if (entry == 0 && !rules.config.binds.empty()) entry = rules.config.binds.front().address.port();
  }

  void warn_of_certificates() {
    for (Fault& warning : certificate_warnings(snapshot_)) {
      warning.excerpt = source_line(warning.at);
      config().faults.push_back(std::move(warning));
    }
  }

  Snapshot& snapshot_;
  const Snapshot* previous_;
  std::shared_ptr<const TicketKeys> tickets_;
  std::unordered_map<std::string_view, std::shared_ptr<const Service>> before_;  // of the previous snapshot, by name
  std::vector<size_t> free_slots_;
  size_t next_slot_ = 0;
  std::map<std::string, std::shared_ptr<ListenerStats>> listener_stats_;
  std::string_view cookie_secret_;
  std::unique_ptr<ContextBuilder> contexts_;
  std::map<std::pair<std::string, Alpn>, const ContextTable*> tables_;
};

}  // namespace

std::shared_ptr<const Snapshot> build_snapshot(config::Config config, const std::shared_ptr<const TicketKeys>& tickets,
                                               const Snapshot* previous, std::string_view cookie_secret) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->config = std::move(config);
  const std::filesystem::path certificates = snapshot->config.gateway.certificates.directory;
  snapshot->certs = CertStore::load(certificates, previous != nullptr ? previous->certs.get() : nullptr);
  Builder(*snapshot, tickets, previous, cookie_secret).run();
  return snapshot;
}

}  // namespace sallyport
