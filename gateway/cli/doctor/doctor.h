// `sallyport doctor`: looks at everything around the gateway that may keep it from working.
#pragma once
#include <filesystem>
#include <string>

#include "cli/doctor/finding.h"

namespace sallyport {

struct DoctorOptions {
  std::filesystem::path directory = "/etc/sallyport";
  std::string socket;
  bool json = false;
};
// 1 if there is a problem. About five seconds at most.
int doctor_command(const DoctorOptions& options);

std::string findings_text(const Findings& findings);
std::string findings_json(const Findings& findings);

}  // namespace sallyport
