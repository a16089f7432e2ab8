// What `logs:` says, put into effect.
#pragma once
#include <memory>

#include "base/log_sink.h"
#include "config/model.h"

namespace sallyport {

// Starts the log, or changes the one that runs: any number of times, on the control thread. A target that cannot be
// opened is no error: lines wait, and stderr is told. A target that stays the same keeps its connection, and the level
// that was set by hand stays where the configuration still says what it said. (Access lines go by AccessLog::configure.)
void log_setup(const config::Logs& logs);

std::unique_ptr<log::Sink> make_log_sink(const config::LogTarget& target);

}  // namespace sallyport
