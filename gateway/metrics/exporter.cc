#include "metrics/exporter.h"

#include <prometheus/text_serializer.h>

#include <algorithm>

#include "base/chunk.h"
#include "metrics/export_services.h"
#include "metrics/families.h"

namespace sallyport {
namespace {

template <class Read>
void of_listeners(Families& out, const Metrics& metrics, Read read) {
  for (const ListenerMetrics& listener : metrics.listeners)
    out.add(total(*listener.stats, read), {{"listener", std::string(listener.name)}});
}

// One for each word; array(of one worker's counters) is indexed by it.
template <class Array>
void by_word(Families& out, const Metrics& metrics, const char* label, size_t first, size_t end, const char* (*word)(size_t),
             Array array) {
  for (const ListenerMetrics& listener : metrics.listeners)
    for (size_t i = first; i < end; ++i)
      out.add(total(*listener.stats, [&](const ListenerCounters& c) -> const Counter& { return array(c)[i]; }),
              {{"listener", std::string(listener.name)}, {label, word(i)}});
}

template <class Enum>
const char* word_of(size_t i) {
  return name_of(static_cast<Enum>(i));
}

const char* sniffed_word(size_t i) {
  static constexpr const char* kSniffed[] = {"silent", "tls", "http1", "h2", "ssh", "other"};
  return kSniffed[i];
}

void export_listeners(Families& out, const Metrics& metrics) {
  out.counter("sallyport_connections_total", "Client connections accepted.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.connections; });
  out.gauge("sallyport_sessions", "Client connections open now.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.open; });
  out.counter("sallyport_requests_total", "HTTP requests received.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.requests; });
  out.counter("sallyport_responses_total", "HTTP responses sent, by class of the status.");
  by_word(out, metrics, "class", 1, 6, [](size_t i) { return kStatusClasses[i]; },
          [](const ListenerCounters& c) -> auto& { return c.responses; });
  out.counter("sallyport_received_bytes_total", "Bytes from clients, without TLS that ends here.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.received_bytes; });
  out.counter("sallyport_sent_bytes_total", "Bytes to clients, without TLS that ends here.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.sent_bytes; });
  out.counter("sallyport_sniffed_total", "Connections by what their first bytes were.");
  by_word(out, metrics, "protocol", 0, 6, sniffed_word, [](const ListenerCounters& c) -> auto& { return c.sniffed; });
  out.counter("sallyport_rejected_total", "Connections and requests turned away, by reason.");
  by_word(out, metrics, "reason", 0, static_cast<size_t>(Rejection::kCount), word_of<Rejection>,
          [](const ListenerCounters& c) -> auto& { return c.rejected; });
  out.counter("sallyport_tls_handshakes_total", "TLS handshakes with clients that were completed, by version.");
  by_word(out, metrics, "version", 0, static_cast<size_t>(TlsVersion::kCount), word_of<TlsVersion>,
          [](const ListenerCounters& c) -> auto& { return c.handshakes; });
  out.counter("sallyport_tls_resumed_handshakes_total", "Of those, the ones that resumed a session.");
  of_listeners(out, metrics, [](const ListenerCounters& c) -> const Counter& { return c.handshakes_resumed; });
  out.counter("sallyport_tls_handshake_failures_total", "TLS handshakes with clients that failed, by reason.");
  by_word(out, metrics, "reason", 0, static_cast<size_t>(HandshakeFailure::kCount), word_of<HandshakeFailure>,
          [](const ListenerCounters& c) -> auto& { return c.handshake_failures; });
}

void export_workers(Families& out, const Metrics& metrics) {
  const auto each = [&](auto f) {
    for (size_t i = 0; i < metrics.workers.size(); ++i) f(*metrics.workers[i], Families::Labels{{"worker", std::to_string(i)}});
  };
  out.histogram("sallyport_worker_turn_seconds", "Turns of a worker's loop: how long what is due may have to wait.");
  each([&](const Counters& worker, Families::Labels labels) {
    Families::Sum<TurnHistogram> sum;
    sum.add(worker.turns.histogram());
    out.add(sum, std::move(labels));
  });
  out.gauge("sallyport_worker_longest_turn_seconds", "The longest of the last minute or two.");
  each([&](const Counters& worker, Families::Labels labels) {
    out.add(static_cast<double>(worker.turns.longest_us(metrics.now_us)) / 1e6, std::move(labels));
  });
  out.gauge("sallyport_worker_buffer_bytes", "Buffers that hold what a receiver has not taken yet.");
  each([&](const Counters& worker, Families::Labels labels) {
    out.add(worker.chunks.get() * Chunk::kSize, std::move(labels));
  });
}

void export_config(Families& out, const Metrics& metrics) {
  const ConfigMetrics& config = metrics.config;
  out.counter("sallyport_reloads_total", "Reloads since the start, by result: taken, or refused for a fault in gateway.yaml.");
  out.add(config.reloads - std::min(config.reloads, config.reloads_refused), {{"result", "taken"}});
  out.add(config.reloads_refused, {{"result", "refused"}});
  out.gauge("sallyport_last_reload_successful", "Whether the last reload, or the start, was: 1 yes, 0 it was refused.");
  out.add(uint64_t{config.last_successful});
  out.gauge("sallyport_last_reload_timestamp_seconds", "When that was.");
  out.add(config.last_time);
  out.gauge("sallyport_last_reload_duration_seconds", "How long it took.");
  out.add(config.last_seconds);
  out.gauge("sallyport_config_faults", "Faults in the configuration's files, as of the last time they were read.");
  out.add(config.errors, {{"severity", "error"}});
  out.add(config.warnings, {{"severity", "warning"}});
  out.gauge("sallyport_services", "Services by state: served as written, kept in their last good version, or left out for a fault.");
  out.add(config.services - std::min(config.services, config.kept), {{"state", "served"}});
  out.add(config.kept, {{"state", "kept"}});
  out.add(config.left_out, {{"state", "left_out"}});
  out.gauge("sallyport_certificate_expiry_timestamp_seconds", "When a certificate expires; of a file with several, the first.");
  for (const CertificateMetrics& certificate : metrics.certificates)
    out.add(certificate.not_after, {{"file", certificate.file}});
}

void export_alerts(Families& out, const Metrics& metrics) {
  out.counter("sallyport_alerts_total", "Messages of alerts, by kind and by whether they were sent.");
  for (const AlertMetrics& alerts : metrics.alerts) {
    out.add(alerts.sent, {{"kind", std::string(alerts.kind)}, {"result", "sent"}});
    out.add(alerts.failed, {{"kind", std::string(alerts.kind)}, {"result", "failed"}});
  }
  out.counter("sallyport_alert_changes_dropped_total", "Changes that alerts never told of: too many, or too old.");
  for (const AlertMetrics& alerts : metrics.alerts) out.add(alerts.dropped, {{"kind", std::string(alerts.kind)}});
}

void export_process(Families& out, const Metrics& metrics) {
  out.counter("sallyport_log_lines_dropped_total", "Log lines that did not fit into the buffer.");
  out.add(metrics.log_lines_dropped);
  out.gauge("sallyport_build_info", "The version that runs.");
  out.add(uint64_t{1}, {{"version", std::string(metrics.version)}});
  const ProcessMetrics& process = metrics.process;
  out.gauge("process_start_time_seconds", "When the process was started, in Unix time.");
  out.add(process.started);
  out.counter("process_cpu_seconds_total", "CPU time used, in user and system mode.");
  out.add(process.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Resident memory.");
  out.add(process.resident_bytes);
  out.gauge("process_open_fds", "Open file descriptors.");
  out.add(process.open_fds);
  out.gauge("process_max_fds", "How many may be open.");
  out.add(process.max_fds);
}

}  // namespace

std::string export_metrics(const Metrics& metrics) {
  Families out;
  export_listeners(out, metrics);
  export_services(out, metrics.services);
  export_servers(out, metrics.services);
  export_workers(out, metrics);
  export_config(out, metrics);
  export_alerts(out, metrics);
  export_process(out, metrics);
  return prometheus::TextSerializer().Serialize(out.all());
}

}  // namespace sallyport
