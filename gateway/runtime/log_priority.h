// RFC 5424 section 6.2.1, for syslog and journald.
#pragma once
#include "base/log_sink.h"

namespace sallyport {

constexpr int kSyslogDaemon = 3;  // the facility

constexpr int syslog_severity(log::Level level) noexcept {
  switch (level) {
    case log::Level::error: return 3;
    case log::Level::warn: return 4;
    case log::Level::info: return 6;
    case log::Level::debug: return 7;
  }
  return 6;
}

}  // namespace sallyport
