#include "admin/metrics_page.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "admin/process_stats.h"
#include "base/log.h"
#include "metrics/exporter.h"

namespace sallyport {
namespace {

ServerMetrics server_metrics(const Endpoint& endpoint) {
  ServerMetrics out;
  out.name = endpoint.label();
  const EndpointHealth::Report health = endpoint.health.report();
  out.up = endpoint.health.usable();
  if (health.checked_us != 0) out.check_seconds = static_cast<double>(health.checked_us) / 1e6;
  out.admin = static_cast<int>(endpoint.admin());
  out.in_flight = endpoint.load.load(std::memory_order_relaxed);
  out.stats = &endpoint.stats;
  return out;
}

// Two servers that a name stands for may have one address for a moment: a label must not stand twice.
void add_servers(ServiceMetrics& service, const Upstream& upstream) {
  for (const auto& endpoint : upstream.endpoints) {
    if (!endpoint->has_address() && endpoint->place() != Endpoint::kNoPlace) continue;
    ServerMetrics server = server_metrics(*endpoint);
    const bool known = std::any_of(service.servers.begin(), service.servers.end(),
                                   [&](const ServerMetrics& other) { return other.name == server.name; });
    if (known) server.name.append(" ").append(endpoint->key());
    service.servers.push_back(std::move(server));
  }
}

bool speaks_http(const config::Service& service) noexcept {
  switch (service.mode) {
    case config::Mode::edge:
    case config::Mode::reencrypt: return !service.protocol_tcp;
    case config::Mode::http:
    case config::Mode::redirect: return true;
    default: return false;
  }
}

ServiceMetrics service_metrics(const Service& service) {
  ServiceMetrics out;
  out.name = service.config.name;
  out.mode = service.mode();
  out.http = speaks_http(service.config);
  out.stats = service.stats.get();
  if (!service.upstream) return out;
  const Upstream& upstream = *service.upstream;
  if (upstream.queue) out.queued = upstream.queue->waiting();
  if (upstream.sticky) out.sticky = upstream.sticky->size();
  add_servers(out, upstream);
  return out;
}

// Those in the folder, and those elsewhere that a service or the gateway names. Reading these may mean going to the disk:
// once for each time the certificates were loaded, not with every scrape.
class Certificates {
 public:
  std::vector<CertificateMetrics> of(const Snapshot& snapshot) {
    if (store_.lock() != snapshot.certs) {
      store_ = snapshot.certs;
      named_.clear();
    }
    std::map<std::string, double> first;
    for (const auto& certificate : snapshot.certs->all()) note(first, certificate->file, expiry_of(*certificate));
    note_named(first, *snapshot.certs, snapshot.config.gateway.certificates.default_certificate);
    for (const auto& service : snapshot.services) note_named(first, *snapshot.certs, service->config.certificate);
    std::vector<CertificateMetrics> out;
    for (auto& [file, expires] : first) out.push_back({file, expires});
    return out;
  }

 private:
  static double expiry_of(const Certificate& certificate) {
    return std::chrono::duration<double>(certificate.not_after.time_since_epoch()).count();
  }
  static void note(std::map<std::string, double>& first, const std::string& file, double expires) {
    const auto [entry, fresh] = first.emplace(file, expires);
    if (!fresh) entry->second = std::min(entry->second, expires);
  }
  void note_named(std::map<std::string, double>& first, const CertStore& store, const std::string& file) {
    if (file.empty()) return;
    auto [entry, fresh] = named_.try_emplace(file);
    if (fresh)
      if (auto set = store.by_file(file))
        for (const auto& certificate : *set)
          if (std::find(store.all().begin(), store.all().end(), certificate) == store.all().end())
            entry->second.push_back(expiry_of(*certificate));
    for (double expires : entry->second) note(first, file, expires);
  }

  std::weak_ptr<const CertStore> store_;
  std::map<std::string, std::vector<double>> named_;  // by file as written: those that stand in no other list
};

ConfigMetrics config_metrics(const Snapshot& snapshot) {
  ConfigMetrics out;
  for (const config::Fault& fault : snapshot.config.faults)
    ++(fault.severity == config::Severity::error ? out.errors : out.warnings);
  out.services = snapshot.services.size();
  out.kept = snapshot.config.kept.size();
  out.left_out = snapshot.config.left_out.size() - std::min(snapshot.config.left_out.size(), snapshot.config.kept.size());
  return out;
}

}  // namespace

std::string metrics_page(const Control& control) {
  const Snapshot& snapshot = control.snapshot();
  Metrics metrics;
  metrics.version = SALLYPORT_VERSION;
  metrics.now_us = Loop::precise_now();
  metrics.log_lines_dropped = log::dropped();
  for (const auto& worker : control.workers()) metrics.workers.push_back(&worker->counters());
  for (const auto& listener : snapshot.listeners) metrics.listeners.push_back({listener->name, listener->stats.get()});
  metrics.services.reserve(snapshot.services.size());
  for (const auto& service : snapshot.services) metrics.services.push_back(service_metrics(*service));
  static Certificates certificates;
  metrics.certificates = certificates.of(snapshot);
  metrics.config = config_metrics(snapshot);
  using Receiver = config::Alert::Kind;
  for (const Receiver kind : {Receiver::webhook, Receiver::email, Receiver::exec}) {
    const Alerts::Counts& counts = control.alerts().counts(kind);
    metrics.alerts.push_back({name_of(kind), counts.sent, counts.failed, counts.dropped});
  }
  metrics.process = process_stats();
  const ReloadReport& last = control.last_reload();
  metrics.config.reloads = control.reloads();
  metrics.config.reloads_refused = control.reloads_refused();
  metrics.config.last_successful = last.result != ReloadReport::Result::refused;
  metrics.config.last_time = static_cast<double>(last.time) / 1000;
  metrics.config.last_seconds = last.seconds;
  return export_metrics(metrics);
}

}  // namespace sallyport
