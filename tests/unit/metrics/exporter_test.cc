#include "metrics/exporter.h"

#include <algorithm>
#include <sstream>

#include "catch.h"

namespace sallyport {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  std::istringstream lines(text);
  for (std::string found; std::getline(lines, found);)
    if (found == line) return true;
  return false;
}

size_t lines_with(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// What is counted by worker has room for two here.
struct TwoWorkers {
  TwoWorkers() { set_counting_workers(2); }
  ~TwoWorkers() { set_counting_workers(1); }
};

}  // namespace

TEST_CASE("exporter: a listener's workers are added up, to the unit") {
  TwoWorkers two;
  ListenerStats stats;
  ListenerCounters& a = stats.of(0);
  ListenerCounters& b = stats.of(1);
  a.connections.add(3);
  b.connections.add(4);
  a.open.add(5);
  a.open.subtract(2);
  a.requests.add();
  a.received_bytes.add(9'007'199'254'740'991);  // 2^53 - 1: the largest that a double holds to the unit
  b.sent_bytes.add(1'234'567'891);
  a.handshakes[static_cast<size_t>(TlsVersion::tls13)].add(10);
  b.handshakes_resumed.add(6);
  b.handshake_failures[static_cast<size_t>(HandshakeFailure::not_tls)].add(1);
  a.sniffed[1].add(2);
  b.sniffed[5].add(1);
  a.responses[2].add(7);
  b.responses[5].add(1);
  a.rejected[static_cast<size_t>(Rejection::access)].add();
  b.rejected[static_cast<size_t>(Rejection::access)].add();
  b.rejected[static_cast<size_t>(Rejection::no_descriptors)].add();
  Metrics metrics;
  metrics.listeners.push_back({"https", &stats});
  metrics.log_lines_dropped = 9;
  std::string text = export_metrics(metrics);
  INFO(text);
  for (const char* line : {"# TYPE sallyport_connections_total counter",
                           "sallyport_connections_total{listener=\"https\"} 7",
                           "# TYPE sallyport_sessions gauge",
                           "sallyport_sessions{listener=\"https\"} 3",
                           "sallyport_requests_total{listener=\"https\"} 1",
                           "sallyport_received_bytes_total{listener=\"https\"} 9007199254740991",
                           "sallyport_sent_bytes_total{listener=\"https\"} 1234567891",
                           "sallyport_tls_handshakes_total{listener=\"https\",version=\"1.3\"} 10",
                           "sallyport_tls_handshakes_total{listener=\"https\",version=\"1.2\"} 0",
                           "sallyport_tls_resumed_handshakes_total{listener=\"https\"} 6",
                           "sallyport_tls_handshake_failures_total{listener=\"https\",reason=\"not_tls\"} 1",
                           "sallyport_responses_total{listener=\"https\",class=\"2xx\"} 7",
                           "sallyport_responses_total{listener=\"https\",class=\"5xx\"} 1",
                           "sallyport_responses_total{listener=\"https\",class=\"4xx\"} 0",
                           "sallyport_sniffed_total{listener=\"https\",protocol=\"tls\"} 2",
                           "sallyport_sniffed_total{listener=\"https\",protocol=\"other\"} 1",
                           "sallyport_rejected_total{listener=\"https\",reason=\"access\"} 2",
                           "sallyport_rejected_total{listener=\"https\",reason=\"no_descriptors\"} 1",
                           "sallyport_rejected_total{listener=\"https\",reason=\"no_route\"} 0",
                           "sallyport_log_lines_dropped_total 9"})
    CHECK(has_line(text, line));
}

TEST_CASE("exporter: every family has its help, its type and a prefix, once, and every word is one") {
  std::string text = export_metrics({});
  std::istringstream lines(text);
  std::vector<std::string> families;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) {
      families.push_back(line.substr(7, line.find(' ', 7) - 7));
      CHECK(line.size() > 7 + families.back().size() + 5);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(line.substr(7).starts_with(families.back() + " "));
    } else {
      CHECK((line.starts_with("sallyport_") || line.starts_with("process_")));
    }
  }
  CHECK(families.size() > 40);
  std::sort(families.begin(), families.end());
  CHECK(std::adjacent_find(families.begin(), families.end()) == families.end());
  const auto all_named = [](auto count) {
    using Word = decltype(count);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) CHECK(std::string(name_of(static_cast<Word>(i))) != "");
  };
  all_named(Rejection::kCount);
  all_named(TlsVersion::kCount);
  all_named(HandshakeFailure::kCount);
  all_named(MethodClass::kCount);
}

TEST_CASE("exporter: servers by service, with names as a user wrote them") {
  ServiceStats service_stats;
  ServerStats one, two;
  ServiceMetrics service;
  service.name = "web";
  service.mode = "edge";
  service.http = true;
  service.stats = &service_stats;
  service.queued = 4;
  service.servers.push_back({"10.0.0.1:80", true, 0, 0.0025, 3, &one});
  service.servers.push_back({"nas\"\\.lan:80", false, 2, {}, 0, &two});
  Metrics metrics;
  metrics.services.push_back(service);
  const std::string text = export_metrics(metrics);
  INFO(text);
  for (const char* line : {"sallyport_server_up{service=\"web\",server=\"10.0.0.1:80\"} 1",
                           "sallyport_server_up{service=\"web\",server=\"nas\\\"\\\\.lan:80\"} 0",
                           "sallyport_server_admin_state{service=\"web\",server=\"nas\\\"\\\\.lan:80\"} 2",
                           "sallyport_server_check_duration_seconds{service=\"web\",server=\"10.0.0.1:80\"} 0.0025",
                           "sallyport_server_in_flight{service=\"web\",server=\"10.0.0.1:80\"} 3",
                           "sallyport_service_servers{service=\"web\"} 2",
                           "sallyport_service_servers_up{service=\"web\"} 1",
                           "sallyport_service_queued{service=\"web\"} 4",
                           "sallyport_service_info{service=\"web\",mode=\"edge\"} 1",
                           // Never used: there is a 0 for each counter that an alert may want.
                           "sallyport_service_errors_total{service=\"web\"} 0",
                           "sallyport_service_requests_total{service=\"web\",method=\"GET\",class=\"2xx\"} 0",
                           "sallyport_server_connections_total{service=\"web\",server=\"10.0.0.1:80\"} 0"})
    CHECK(has_line(text, line));
  CHECK(lines_with(text, "sallyport_server_check_duration_seconds{") == 1);
  CHECK(lines_with(text, "sallyport_service_sticky_entries{") == 0);
  CHECK(lines_with(text, "_bucket{") == 0);
}

TEST_CASE("exporter: a service that was used has its methods, its statuses and its histograms") {
  TwoWorkers two;
  ServiceStats stats;
  stats.of(0).requests[static_cast<size_t>(MethodClass::post)][4].add(2);
  stats.of(1).requests[static_cast<size_t>(MethodClass::post)][4].add(3);
  stats.of(1).requests[static_cast<size_t>(MethodClass::get)][0].add(1);
  stats.of(0).total.observe_us(500);
  stats.of(1).total.observe_us(501);
  stats.of(1).total.observe_us(61'000'000);
  ServerStats server_stats;
  server_stats.of(0).responses[0].add(6);
  server_stats.of(0).connect.observe_us(0);
  ServiceMetrics service;
  service.name = "web";
  service.http = true;
  service.stats = &stats;
  service.servers.push_back({"a:1", true, 0, {}, 0, &server_stats});
  Metrics metrics;
  metrics.services.push_back(service);
  const std::string text = export_metrics(metrics);
  INFO(text);
  for (const char* line : {"sallyport_service_requests_total{service=\"web\",method=\"POST\",class=\"4xx\"} 5",
                           "sallyport_service_requests_total{service=\"web\",method=\"GET\",class=\"none\"} 1",
                           "sallyport_service_duration_seconds_bucket{service=\"web\",le=\"0.0005\"} 1",
                           "sallyport_service_duration_seconds_bucket{service=\"web\",le=\"0.001\"} 2",
                           "sallyport_service_duration_seconds_bucket{service=\"web\",le=\"60\"} 2",
                           "sallyport_service_duration_seconds_bucket{service=\"web\",le=\"+Inf\"} 3",
                           "sallyport_service_duration_seconds_count{service=\"web\"} 3",
                           "sallyport_service_duration_seconds_sum{service=\"web\"} 61.001001",
                           "sallyport_server_connect_seconds_bucket{service=\"web\",server=\"a:1\",le=\"0.0005\"} 1",
                           "sallyport_server_responses_total{service=\"web\",server=\"a:1\",class=\"none\"} 6"})
    CHECK(has_line(text, line));
  CHECK(lines_with(text, "method=\"PUT\"") == 0);
}

TEST_CASE("exporter: workers, reloads, certificates and the process") {
  Counters worker;
  worker.chunks.set(2);
  worker.turns.observe(1'000'000, 700);
  Metrics metrics;
  metrics.version = "1.2.3";
  metrics.workers = {&worker};
  metrics.now_us = 1'000'000;
  metrics.config = {1, 2, 10, 3, 4, 7, 2, false, 1'764'383'411.5, 0.25};
  metrics.certificates.push_back({"w.pem", 1'900'000'000});
  metrics.process = {1'764'000'000, 1.5, 4096, 12, 1024};
  const std::string text = export_metrics(metrics);
  INFO(text);
  for (const char* line : {"sallyport_worker_turn_seconds_bucket{worker=\"0\",le=\"0.0005\"} 0",
                           "sallyport_worker_turn_seconds_bucket{worker=\"0\",le=\"0.001\"} 1",
                           "sallyport_worker_longest_turn_seconds{worker=\"0\"} 0.0007",
                           "sallyport_worker_buffer_bytes{worker=\"0\"} 32768",
                           "sallyport_reloads_total{result=\"taken\"} 5",
                           "sallyport_reloads_total{result=\"refused\"} 2",
                           "sallyport_last_reload_successful 0",
                           "sallyport_config_faults{severity=\"error\"} 1",
                           "sallyport_config_faults{severity=\"warning\"} 2",
                           "sallyport_services{state=\"served\"} 6",
                           "sallyport_services{state=\"kept\"} 4",
                           "sallyport_services{state=\"left_out\"} 3",
                           "sallyport_certificate_expiry_timestamp_seconds{file=\"w.pem\"} 1900000000",
                           "sallyport_build_info{version=\"1.2.3\"} 1",
                           "process_open_fds 12",
                           "process_max_fds 1024"})
    CHECK(has_line(text, line));
}

}  // namespace sallyport
