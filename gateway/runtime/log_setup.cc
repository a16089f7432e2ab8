#include "runtime/log_setup.h"

#include <optional>

#include "base/log.h"
#include "base/log_stream.h"
#include "runtime/log_journal.h"
#include "runtime/log_syslog.h"

namespace sallyport {
namespace {

log::Level to_level(config::LogLevel level) noexcept {
  switch (level) {
    case config::LogLevel::error: return log::Level::error;
    case config::LogLevel::warn: return log::Level::warn;
    case config::LogLevel::info: return log::Level::info;
    case config::LogLevel::debug: return log::Level::debug;
  }
  return log::Level::info;
}

}  // namespace

std::unique_ptr<log::Sink> make_log_sink(const config::LogTarget& target) {
  using Target = config::LogTarget::Kind;
  switch (target.kind) {
    case Target::stderr_: break;
    case Target::journald: return std::make_unique<JournalSink>();
    case Target::syslog_udp:
    case Target::syslog_tcp:
    case Target::syslog_unix: return std::make_unique<SyslogSink>(target);
    case Target::file: return std::make_unique<log::FileSink>(target.path);
  }
  return std::make_unique<log::StreamSink>(2);
}

void log_setup(const config::Logs& logs) {
  static std::optional<config::Logs> before;
  const auto lifecycle = logs.format == config::LogFormat::json ? log::Format::json : log::Format::text;
  const bool level_as_before = before && before->level == logs.level;
  const log::Level level = level_as_before ? log::level() : to_level(logs.level);
  if (before && before->target == logs.target) {
    log::set_format(lifecycle);
    log::set_level(level);
  } else {
    log::start(lifecycle, level, make_log_sink(logs.target));
  }
  before = logs;
}

}  // namespace sallyport
