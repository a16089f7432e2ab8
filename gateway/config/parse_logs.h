// `logs:` in gateway.yaml.
#pragma once
#include "config/model.h"
#include "config/reader.h"

namespace sallyport::config {

void parse_logs(Reader& reader, const YamlNode& node, Logs& out);

// "stderr", "journald", "syslog", "syslog:udp:10.0.0.5:514", "syslog:tcp:logs.lan:601", "syslog:unix:/dev/log", or a path,
// which has a "/" in it and is taken as it stands. The error's detail is the message for the user.
Result<LogTarget> parse_log_target(std::string_view text);

}  // namespace sallyport::config
