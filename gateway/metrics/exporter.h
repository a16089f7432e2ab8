// Everything that is counted, in Prometheus's text format. Takes plain structs: who knows the rest of the gateway fills
// them (admin/metrics_page). Labels are bounded: what a user has configured, and words of our own.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/counters.h"
#include "metrics/service_stats.h"

namespace sallyport {

// What is pointed to, or viewed, must outlive the call.
struct ListenerMetrics {
  std::string_view name;
  const ListenerStats* stats = nullptr;
};

struct ServerMetrics {
  std::string name;  // as the user wrote it
  bool up = true;    // may be given clients
  int admin = 0;     // 0 enabled, 1 draining, 2 disabled
  std::optional<double> check_seconds;  // of the last check
  uint64_t in_flight = 0;
  const ServerStats* stats = nullptr;
};

struct ServiceMetrics {
  std::string_view name;
  std::string_view mode;
  bool http = false;  // counts requests
  std::optional<uint64_t> queued;
  std::optional<uint64_t> sticky;  // entries
  const ServiceStats* stats = nullptr;
  std::vector<ServerMetrics> servers;  // those that stand for one now
};

struct CertificateMetrics {
  std::string file;
  double not_after = 0;  // Unix time in seconds
};

struct ConfigMetrics {
  uint64_t errors = 0, warnings = 0;  // that stand in the files, as of the last time they were read
  uint64_t services = 0, left_out = 0, kept = 0;
  uint64_t reloads = 0, reloads_refused = 0;
  bool last_successful = true;
  double last_time = 0;  // Unix time in seconds
  double last_seconds = 0;
};

struct AlertMetrics {
  std::string_view kind;
  uint64_t sent = 0, failed = 0;  // messages
  uint64_t dropped = 0;           // changes that were never told
};

struct ProcessMetrics {
  double started = 0;  // Unix time in seconds
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
};

struct Metrics {
  std::string_view version;
  std::vector<const Counters*> workers;  // by number
  uint64_t now_us = 0;                   // of the loops' clock
  uint64_t log_lines_dropped = 0;
  std::vector<ListenerMetrics> listeners;
  std::vector<ServiceMetrics> services;
  std::vector<CertificateMetrics> certificates;
  ConfigMetrics config;
  std::vector<AlertMetrics> alerts;
  ProcessMetrics process;
};

std::string export_metrics(const Metrics& metrics);

}  // namespace sallyport
