#include "runtime/alert_changes.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/format.h"
#include "upstream/endpoint.h"

namespace sallyport {
namespace {

using Severity = AlertChange::Severity;

constexpr int64_t kDaySeconds = 86'400;
constexpr size_t kShownFaults = 5;
constexpr size_t kShownNames = 3;

int64_t seconds_of(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string day_text(int64_t unix_s) {
  const time_t seconds = unix_s;
  tm t{};
  gmtime_r(&seconds, &t);
  return format("{:04}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
}

std::string place_of(const config::Fault& fault) {
  std::string out = fault.at.file;
  if (fault.at.line > 0) out += format(":{}:{}", fault.at.line, fault.at.column);
  return out.empty() ? fault.message : out + ": " + fault.message;
}

}  // namespace

std::string server_subject(const std::string& service, const Endpoint& server) {
  return "server " + service + "/" + server.key();
}
std::string service_subject(const std::string& service) { return "service " + service; }
std::string certificate_subject(const std::string& file) { return "certificate " + file; }
std::string reload_subject() { return "reload"; }

AlertChange server_change(const std::string& service, const Endpoint& server, bool up, const std::string& reason,
                          uint64_t down_ms) {
  AlertChange change;
  change.event = config::Alert::kServer;
  change.state = up ? "up" : "down";
  change.severity = up ? Severity::info : Severity::warn;
  change.subject = server_subject(service, server);
  change.fact = change.state;
  change.good = up;
  change.service = service;
  change.server = server.label();
  change.reason = reason;
  change.text = format("server {} of service {} is ", change.server, service);
  if (!up)
    change.text += reason.empty() ? std::string("down") : "down: " + reason;
  else
    change.text += down_ms == 0 ? std::string("up again") : "up again after " + duration_text(down_ms);
  return change;
}

AlertChange service_change(const std::string& service, bool has_server) {
  AlertChange change;
  change.event = config::Alert::kService;
  change.state = has_server ? "has_server" : "no_server";
  change.severity = has_server ? Severity::info : Severity::error;
  change.subject = service_subject(service);
  change.fact = change.state;
  change.good = has_server;
  change.service = service;
  change.text =
      has_server ? format("service {} has a server again", service) : format("service {}: no server is left", service);
  return change;
}

AlertChange reload_change(const ReloadReport& report) {
  AlertChange change;
  change.event = config::Alert::kReload;
  change.state = name_of(report.result);
  change.subject = reload_subject();
  change.time = report.time;
  change.good = report.result == ReloadReport::Result::ok;
  change.severity = change.good ? Severity::info : Severity::error;
  change.fact = change.state;
  if (change.good) {
    change.text = "configuration: without a fault again";
    return change;
  }
  std::vector<std::string> faults;
  for (const config::Fault& fault : report.faults)
    if (fault.severity == config::Severity::error) faults.push_back(place_of(fault));
  for (size_t i = 0; i < faults.size(); ++i) {
    change.fact += '\n' + faults[i];
    if (i < kShownFaults) change.reason += (i == 0 ? "" : "; ") + faults[i];
  }
  if (faults.size() > kShownFaults) change.reason += format("; and {} more", faults.size() - kShownFaults);
  if (report.result == ReloadReport::Result::refused) {
    change.text = "configuration: gateway.yaml has a fault, the last good one stays";
  } else if (!report.kept.empty()) {
    std::string names;
    for (const std::string& name : report.kept) names += (names.empty() ? "" : ", ") + name;
    change.text = "configuration: a fault; these go on as they were: " + names;
    change.fact += '\n' + names;
  } else {
    change.text = "configuration: a fault, something is left out";
  }
  if (!change.reason.empty()) change.text += ": " + change.reason;
  return change;
}

AlertChange test_change(const std::string& gateway) {
  AlertChange change;
  change.state = "test";
  change.subject = "test";
  change.fact = "test";
  change.text = "a test from " + gateway + ": alerts arrive here";
  change.time = unix_ms();
  return change;
}

std::vector<CertificateEnd> certificate_ends(const Snapshot& snapshot) {
  std::map<std::string, CertificateEnd> files;
  const auto add = [&](const Certificate& certificate) {
    CertificateEnd end{certificate.file, certificate.names, seconds_of(certificate.not_before),
                       seconds_of(certificate.not_after)};
    const auto [it, fresh] = files.emplace(certificate.file, end);
    if (!fresh && end.not_after < it->second.not_after) it->second = std::move(end);
  };
  const auto add_file = [&](const std::string& file) {
    if (file.empty()) return;
    if (const auto set = snapshot.certs->by_file(file))
      for (const auto& certificate : *set) add(*certificate);
  };
  for (const auto& certificate : snapshot.certs->all()) {
    const bool served = std::any_of(certificate->names.begin(), certificate->names.end(), [&](const std::string& name) {
      const CertSet set = snapshot.certs->match(name);
      return std::find(set.begin(), set.end(), certificate) != set.end();
    });
    if (served) add(*certificate);
  }
  add_file(snapshot.config.gateway.certificates.default_certificate);
  std::set<std::string> named;
  for (const auto& service : snapshot.services)
    if (named.insert(service->config.certificate).second) add_file(service->config.certificate);
  std::vector<CertificateEnd> out;
  for (auto& [file, end] : files) out.push_back(std::move(end));
  return out;
}

AlertChange certificate_change(const CertificateEnd& certificate, int64_t unix_s) {
  static constexpr std::array<int64_t, 5> kDays = {1, 3, 7, 14, 30};
  AlertChange change;
  change.event = config::Alert::kCertificate;
  change.subject = certificate_subject(certificate.file);
  change.certificate = certificate.file;
  std::string names;
  for (size_t i = 0; i < certificate.names.size(); ++i) {
    if (i == kShownNames) {
      names += ", …";
      break;
    }
    names += (i == 0 ? "" : ", ") + certificate.names[i];
  }
  const std::string what = "certificate " + certificate.file + (names.empty() ? "" : " (" + names + ")");
  const std::string day = day_text(certificate.not_after);
  const int64_t left = certificate.not_after - unix_s;
  if (left <= 0) {
    change.state = "expired";
    change.severity = Severity::error;
    change.fact = format("0 {}", certificate.not_after);
    change.text = format("{} has expired, on {}", what, day);
    return change;
  }
  const int64_t lifetime = certificate.not_after - certificate.not_before;
  const auto* limit =
      std::find_if(kDays.begin(), kDays.end(), [&](int64_t days) { return left <= days * kDaySeconds; });
  if (limit == kDays.end() || *limit * 3 * kDaySeconds >= lifetime) {
    change.state = "valid";
    change.good = true;
    change.text = format("{} is good until {}", what, day);
    return change;
  }
  change.state = "expiring";
  change.severity = *limit <= 3 ? Severity::error : Severity::warn;
  change.fact = format("{} {}", *limit, certificate.not_after);
  const uint64_t time_left = static_cast<uint64_t>(left) * 1000;
  change.text = format("{} ends in {}, on {}", what, duration_text(time_left), day);
  return change;
}

std::string duration_text(uint64_t ms) {
  const uint64_t seconds = (ms + 500) / 1000;
  if (seconds < 120) return format("{} s", seconds);
  if (seconds < 2 * 3'600) return format("{} min", seconds / 60);
  if (seconds < 2 * 86'400) return format("{} h", seconds / 3'600);
  return format("{} days", seconds / 86'400);
}

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "sallyport";
  return one_line(name, 253);
}

}  // namespace sallyport
