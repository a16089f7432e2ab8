#include "metrics/exporter.h"

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

}  // namespace

TEST_CASE("exporter: workers are added up, to the unit") {
  Counters a, b;
  a.connections.add(3);
  b.connections.add(4);
  a.open_sessions.add(5);
  a.open_sessions.subtract(2);
  a.requests.add();
  a.bytes_in.add(9'007'199'254'740'991);  // 2^53 - 1: the largest that a double holds to the unit
  b.bytes_out.add(1'234'567'891);
  a.handshakes.add(10);
  b.handshakes_resumed.add(6);
  b.handshake_failures.add(1);
  b.retries.add(8);
  a.sniffed[1].add(2);
  b.sniffed[5].add(1);
  a.status[2].add(7);
  b.status[5].add(1);
  a.reject(Rejection::access);
  b.reject(Rejection::access);
  b.reject(Rejection::no_descriptors);
  std::string text = export_metrics({&a, &b}, 9);
  INFO(text);
  for (const char* line : {"# TYPE sallyport_connections_total counter",
                           "sallyport_connections_total 7",
                           "# TYPE sallyport_sessions gauge",
                           "sallyport_sessions 3",
                           "sallyport_requests_total 1",
                           "sallyport_received_bytes_total 9007199254740991",
                           "sallyport_sent_bytes_total 1234567891",
                           "sallyport_tls_handshakes_total 10",
                           "sallyport_tls_resumed_handshakes_total 6",
                           "sallyport_tls_handshake_failures_total 1",
                           "sallyport_retries_total 8",
                           "sallyport_responses_total{class=\"2xx\"} 7",
                           "sallyport_responses_total{class=\"5xx\"} 1",
                           "sallyport_responses_total{class=\"4xx\"} 0",
                           "sallyport_sniffed_total{protocol=\"tls\"} 2",
                           "sallyport_sniffed_total{protocol=\"other\"} 1",
                           "sallyport_rejected_total{reason=\"access\"} 2",
                           "sallyport_rejected_total{reason=\"no_descriptors\"} 1",
                           "sallyport_rejected_total{reason=\"no_route\"} 0",
                           "sallyport_log_lines_dropped_total 9"})
    CHECK(has_line(text, line));
}

TEST_CASE("exporter: every family has its help, its type and the prefix, once, and every reason has a word") {
  std::string text = export_metrics({}, 0);
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
      CHECK(line.starts_with("sallyport_"));
      CHECK(line.ends_with(" 0"));
    }
  }
  CHECK(families.size() > 10);
  std::sort(families.begin(), families.end());
  CHECK(std::adjacent_find(families.begin(), families.end()) == families.end());
  for (size_t i = 0; i < static_cast<size_t>(Rejection::kCount); ++i)
    CHECK(std::string(name_of(static_cast<Rejection>(i))) != "");
}


TEST_CASE("exporter: servers by service, with names as a user wrote them") {
  const std::string text = export_metrics({}, 0, {{"web", "10.0.0.1:80", true}, {"web", "nas\"\\.lan:80", false}});
  CHECK(has_line(text, "sallyport_server_up{service=\"web\",server=\"10.0.0.1:80\"} 1"));
  CHECK(has_line(text, "sallyport_server_up{service=\"web\",server=\"nas\\\"\\\\.lan:80\"} 0"));
}

}  // namespace sallyport
