// Lifecycle log lines, one line an event, and access-log lines. Writers never wait for the target: lines go to a
// bounded buffer that one thread brings to a Sink; what does not fit is dropped and counted, and the log tells of it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/log_sink.h"

namespace sallyport::log {

// Of lifecycle lines.
enum class Format : uint8_t { text, json };

// Starts the thread, or gives the one that runs another target; lines logged before are kept. Any number of times, on
// the main thread.
void start(Format format, Level level, std::unique_ptr<Sink> sink);
void start(Format format, Level level, int fd = 2);
// Another format, with the target and the level as they are.
void set_format(Format format) noexcept;
// Brings out what is left, if the target takes it within two seconds, and ends the thread. Lines logged after go straight
// to the target.
void stop();
// Asks the target to open its file again: it was moved away.
void reopen();
void set_level(Level level) noexcept;
Level level() noexcept;
const char* name_of(Level level) noexcept;
Format format_in_use() noexcept;
bool enabled(Level level) noexcept;
// Lines that nobody will see, since the start.
uint64_t dropped() noexcept;

// message is ours, or escaped() by the caller where a client had a hand in it.
void write(Level level, std::string_view message);
// Whole lines made by the caller, each with its end: the access log. Any thread.
void write_raw(std::string_view lines, Shape shape = Shape::plain);
// "2026-11-20T13:37:00.123Z", cached per millisecond and thread.
std::string_view timestamp();

template <class... Args>
void error(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::error, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> text, Args&&... args) {
  write(Level::warn, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> text, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> text, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace sallyport::log
