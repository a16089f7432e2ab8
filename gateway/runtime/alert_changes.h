// What happened, as alerts tell it: one line each, and what it is compared by.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/alert_message.h"
#include "runtime/reload_report.h"
#include "runtime/snapshot.h"

namespace sallyport {

class Endpoint;

std::string server_subject(const std::string& service, const Endpoint& server);
std::string service_subject(const std::string& service);
std::string certificate_subject(const std::string& file);
std::string reload_subject();

// down_ms: how long it was down; 0: not known.
AlertChange server_change(const std::string& service, const Endpoint& server, bool up, const std::string& reason,
                          uint64_t down_ms);
AlertChange service_change(const std::string& service, bool has_server);
AlertChange reload_change(const ReloadReport& report);
// To see whether a receiver gets anything.
AlertChange test_change(const std::string& gateway);

// A certificate that is served, and when it ends.
struct CertificateEnd {
  std::string file;
  std::vector<std::string> names;
  int64_t not_before = 0;  // Unix time in s
  int64_t not_after = 0;
};
// Those of a snapshot, each file once: of several in one file the one that ends first. One in whose place another is
// served is left out.
std::vector<CertificateEnd> certificate_ends(const Snapshot& snapshot);
// What is to be told of one at this time. Told of are 30, 14, 7, 3 and 1 days, but none that lies within the first two
// thirds of its time: what renews certificates has not begun then.
AlertChange certificate_change(const CertificateEnd& certificate, int64_t unix_s);

// "45 s", "12 min", "5 h", "3 days".
std::string duration_text(uint64_t ms);
// The name of this host.
std::string host_name();

}  // namespace sallyport
