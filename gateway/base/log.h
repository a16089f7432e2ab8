// Lifecycle log lines, one line an event, and access-log lines. Writers never wait for the target: lines go to a
// bounded buffer that one thread writes out; what does not fit is dropped and counted.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/format.h"

namespace sallyport::log {

enum class Level : uint8_t { error, warn, info, debug };
enum class Format : uint8_t { text, json };

// Starts the writing thread; lines logged before are kept. Call once, on the main thread.
void start(Format format, Level level, int fd = 2);
// Writes out what is left and ends the thread. Lines logged after go straight to the fd.
void stop();
void set_level(Level level) noexcept;
Level level() noexcept;
const char* name_of(Level level) noexcept;
Format format_in_use() noexcept;
bool enabled(Level level) noexcept;
uint64_t dropped() noexcept;

// message is ours, or escaped() by the caller where a client had a hand in it.
void write(Level level, std::string_view message);
// A whole line made by the caller, with its line end: the access log. Any thread.
void write_raw(std::string_view lines);
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
