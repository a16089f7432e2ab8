// What reloads and faults look like in JSON.
#pragma once
#include "admin/json.h"
#include "runtime/reload_report.h"

namespace sallyport {

Json fault_json(const config::Fault& fault);
Json report_json(const ReloadReport& report);

}  // namespace sallyport
