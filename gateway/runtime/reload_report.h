// What a reload did, or would do: for the log, the admin interface, metrics and alerts.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"

namespace sallyport {

struct ReloadReport {
  enum class Result : uint8_t {
    ok,
    partial,  // some services have a fault: their last good version stays, or they are left out
    refused,  // gateway.yaml has a fault: the old one stays; services are taken up all the same
  };
  enum class By : uint8_t { start, sighup, files, command };

  Result result = Result::ok;
  By by = By::start;
  int64_t time = 0;  // Unix time in ms
  double seconds = 0;
  std::vector<std::string> added, changed, removed;  // services
  std::vector<std::string> kept;                     // services that have a fault now, and go on as they were
  size_t certificates = 0;                           // TLS contexts that were made anew
  std::vector<std::string> listeners_opened, listeners_closed, listeners_failed;
  std::vector<config::Fault> faults;
  bool changes_anything() const noexcept {
    return !added.empty() || !changed.empty() || !removed.empty() || certificates > 0 || !listeners_opened.empty() ||
           !listeners_closed.empty();
  }
};
inline const char* name_of(ReloadReport::Result result) noexcept {
  switch (result) {
    case ReloadReport::Result::ok: return "ok";
    case ReloadReport::Result::partial: return "partial";
    case ReloadReport::Result::refused: return "refused";
  }
  return "";
}
inline const char* name_of(ReloadReport::By by) noexcept {
  switch (by) {
    case ReloadReport::By::start: return "start";
    case ReloadReport::By::sighup: return "sighup";
    case ReloadReport::By::files: return "files";
    case ReloadReport::By::command: return "command";
  }
  return "";
}

}  // namespace sallyport
