#include "admin/report_json.h"

namespace sallyport {

Json fault_json(const config::Fault& fault) {
  Json out;
  out["severity"] = fault.severity == config::Severity::error ? "error" : "warning";
  out["file"] = fault.at.file;
  if (fault.at.line > 0) {
    out["line"] = fault.at.line;
    out["column"] = fault.at.column;
  }
  out["message"] = fault.message;
  if (!fault.excerpt.empty()) out["excerpt"] = fault.excerpt;
  if (!fault.service.empty()) out["service"] = fault.service;
  return out;
}

Json report_json(const ReloadReport& report) {
  Json out;
  out["time"] = report.time;
  out["result"] = name_of(report.result);
  out["seconds"] = report.seconds;
  out["by"] = name_of(report.by);
  out["added"] = report.added;
  out["changed"] = report.changed;
  out["removed"] = report.removed;
  out["kept"] = report.kept;
  out["certificates"] = report.certificates;
  out["listeners"] = {{"opened", report.listeners_opened},
                      {"closed", report.listeners_closed},
                      {"failed", report.listeners_failed}};
  Json faults = Json::array();
  for (const config::Fault& fault : report.faults) faults.push_back(fault_json(fault));
  out["faults"] = std::move(faults);
  return out;
}

}  // namespace sallyport
