#include "runtime/alert_changes.h"

#include "catch.h"

namespace sallyport {
namespace {

constexpr int64_t kDay = 86'400;
constexpr int64_t kBegin = 1'764'000'000;

TEST_CASE("alerts: a certificate near its end, each limit once") {
  struct Row {
    int64_t lifetime;  // days
    int64_t left;      // seconds
    const char* state;
    const char* limit;  // of the fact; empty: as it should be
  };
  for (const Row& row : std::vector<Row>{
           {365, 31 * kDay, "valid", ""},
           {365, 30 * kDay, "expiring", "30"},
           {365, 14 * kDay + 1, "expiring", "30"},
           {365, 14 * kDay, "expiring", "14"},
           {365, 7 * kDay, "expiring", "7"},
           {365, 3 * kDay, "expiring", "3"},
           {365, kDay, "expiring", "1"},
           {365, 1, "expiring", "1"},
           {365, 0, "expired", "0"},
           {365, -9 * kDay, "expired", "0"},
           // Renewed when a third is left, as ACME clients do: no alarm before that is overdue.
           {90, 30 * kDay, "valid", ""},
           {90, 14 * kDay, "expiring", "14"},
           {6, 2 * kDay + 1, "valid", ""},
           {6, kDay, "expiring", "1"},
           {1, kDay / 2, "valid", ""},
           {1, 0, "expired", "0"},
       }) {
    CAPTURE(row.lifetime, row.left);
    CertificateEnd end{"a.pem", {"a.example"}, kBegin, kBegin + row.lifetime * kDay};
    const AlertChange change = certificate_change(end, end.not_after - row.left);
    CHECK(std::string(change.state) == row.state);
    CHECK(change.good == (*row.limit == '\0'));
    CHECK(change.fact == (change.good ? "" : std::string(row.limit) + " " + std::to_string(end.not_after)));
    CHECK(change.subject == "certificate a.pem");
  }
}

TEST_CASE("alerts: what is said of a certificate") {
  CertificateEnd end{"sub/a.pem", {"a.example", "b.example", "c.example", "d.example"}, kBegin, kBegin + 365 * kDay};
  CHECK(certificate_change(end, end.not_after - 5 * kDay).text ==
        "certificate sub/a.pem (a.example, b.example, c.example, …) ends in 5 days, on 2026-11-24");
  end.names.clear();
  CHECK(certificate_change(end, end.not_after + 5).text == "certificate sub/a.pem has expired, on 2026-11-24");
}

TEST_CASE("alerts: reloads") {
  ReloadReport report;
  report.time = 5;
  CHECK(reload_change(report).good);
  config::Fault fault;
  fault.at = {"conf.d/vault.yaml", 3, 7};
  fault.message = "unknown mode \"passthru\"";
  report.faults.push_back(fault);
  fault.severity = config::Severity::warning;
  fault.message = "only a warning";
  report.faults.push_back(fault);
  report.result = ReloadReport::Result::partial;
  report.kept = {"vault"};
  const AlertChange partial = reload_change(report);
  CHECK_FALSE(partial.good);
  CHECK(partial.time == 5);
  CHECK(partial.text ==
        "configuration: a fault; these go on as they were: vault: conf.d/vault.yaml:3:7: unknown mode \"passthru\"");
  // Another fault is news, the same one is not.
  CHECK(reload_change(report).fact == partial.fact);
  report.faults[0].message = "unknown key";
  CHECK(reload_change(report).fact != partial.fact);
  report.result = ReloadReport::Result::refused;
  CHECK(reload_change(report).text.starts_with("configuration: gateway.yaml has a fault, the last good one stays: "));
  report.faults.assign(8, report.faults[0]);
  CHECK(reload_change(report).text.ends_with("; and 3 more"));
}

TEST_CASE("alerts: durations") {
  CHECK(duration_text(0) == "0 s");
  CHECK(duration_text(45'400) == "45 s");
  CHECK(duration_text(600'000) == "10 min");
  CHECK(duration_text(5 * 3'600'000) == "5 h");
  CHECK(duration_text(72 * 3'600'000) == "3 days");
}

}  // namespace
}  // namespace sallyport
