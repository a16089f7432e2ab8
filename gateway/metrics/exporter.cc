#include "metrics/exporter.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <functional>

namespace sallyport {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Families {
 public:
  explicit Families(const std::vector<const Counters*>& workers) : workers_(workers) {}

  void counter(const char* name, const char* help, const std::function<uint64_t(const Counters&)>& read) {
    begin(name, help, MetricType::Counter);
    add(sum(read), nullptr, nullptr);
  }
  void begin(const char* name, const char* help, MetricType type) {
    MetricFamily family;
    family.name = std::string("sallyport_") + name;
    family.help = help;
    family.type = type;
    families.push_back(std::move(family));
  }
  void add(uint64_t value, const char* label, const char* label_value) {
    ClientMetric metric;
    if (label != nullptr) metric.label.push_back({label, label_value});
    auto number = static_cast<double>(value);
    if (families.back().type == MetricType::Gauge) {
      metric.gauge.value = number;
    } else {
      metric.counter.value = number;
    }
    families.back().metric.push_back(std::move(metric));
  }
  void add(const ServerState& server) {
    ClientMetric metric;
    metric.label = {{"service", server.service}, {"server", server.server}};
    metric.gauge.value = server.up ? 1 : 0;
    families.back().metric.push_back(std::move(metric));
  }
  uint64_t sum(const std::function<uint64_t(const Counters&)>& read) const {
    uint64_t total = 0;
    for (const Counters* worker : workers_) total += read(*worker);
    return total;
  }

  std::vector<MetricFamily> families;

 private:
  const std::vector<const Counters*>& workers_;
};

}  // namespace

std::string export_metrics(const std::vector<const Counters*>& workers, uint64_t log_lines_dropped,
                           const std::vector<ServerState>& servers) {
  Families out(workers);
  out.counter("connections_total", "Client connections accepted.",
              [](const Counters& c) { return c.connections.get(); });
  out.begin("sessions", "Client connections open now.", MetricType::Gauge);
  out.add(out.sum([](const Counters& c) { return c.open_sessions.get(); }), nullptr, nullptr);
  out.counter("requests_total", "HTTP requests received.", [](const Counters& c) { return c.requests.get(); });
  out.begin("responses_total", "HTTP responses sent, by status class.", MetricType::Counter);
  static constexpr const char* kClasses[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (size_t i = 1; i < 6; ++i)
    out.add(out.sum([i](const Counters& c) { return c.status[i].get(); }), "class", kClasses[i]);
  out.counter("received_bytes_total", "Bytes from clients, without TLS.",
              [](const Counters& c) { return c.bytes_in.get(); });
  out.counter("sent_bytes_total", "Bytes to clients, without TLS.",
              [](const Counters& c) { return c.bytes_out.get(); });
  out.counter("tls_handshakes_total", "TLS handshakes with clients that were completed.",
              [](const Counters& c) { return c.handshakes.get(); });
  out.counter("tls_resumed_handshakes_total", "Of those, the ones that resumed a session.",
              [](const Counters& c) { return c.handshakes_resumed.get(); });
  out.counter("tls_handshake_failures_total", "TLS handshakes with clients that failed.",
              [](const Counters& c) { return c.handshake_failures.get(); });
  out.counter("retries_total", "Requests sent again because a reused connection had been closed.",
              [](const Counters& c) { return c.retries.get(); });
  out.begin("sniffed_total", "Connections by what their first bytes were.", MetricType::Counter);
  static constexpr const char* kSniffed[] = {"silent", "tls", "http1", "h2", "ssh", "other"};
  for (size_t i = 0; i < 6; ++i)
    out.add(out.sum([i](const Counters& c) { return c.sniffed[i].get(); }), "protocol", kSniffed[i]);
  out.begin("rejected_total", "Connections and requests turned away, by reason.", MetricType::Counter);
  for (size_t i = 0; i < static_cast<size_t>(Rejection::kCount); ++i)
    out.add(out.sum([i](const Counters& c) { return c.rejected[i].get(); }), "reason",
            name_of(static_cast<Rejection>(i)));
  out.begin("log_lines_dropped_total", "Log lines that did not fit into the buffer.", MetricType::Counter);
  out.add(log_lines_dropped, nullptr, nullptr);
  out.begin("server_up", "Whether a server may be given clients: 1 yes, 0 no.", MetricType::Gauge);
  for (const ServerState& server : servers) out.add(server);
  return prometheus::TextSerializer().Serialize(out.families);
}

}  // namespace sallyport
