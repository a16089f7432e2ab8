#include "base/log_sink.h"

#include <algorithm>

namespace sallyport::log {
namespace {

constexpr size_t kStamp = 24;  // as log::timestamp(); a space follows
constexpr std::string_view kMessage = "MESSAGE=";

}  // namespace

Event first_event(std::string_view lines, Shape shape) noexcept {
  Event event;
  const size_t line = std::min(lines.find('\n'), lines.size());
  event.size = std::min(line + 1, lines.size());
  event.message = lines.substr(0, line);
  if (shape == Shape::stamped && line > kStamp && event.message[kStamp] == ' ') {
    event.time = event.message.substr(0, kStamp);
    event.message.remove_prefix(kStamp + 1);
  } else if (shape == Shape::fields) {
    if (event.message.starts_with(kMessage)) event.message.remove_prefix(kMessage.size());
    const size_t end = lines.find("\n\n", line);
    const size_t fields = event.size;
    event.size = end == std::string_view::npos ? lines.size() : end + 2;
    if (event.size > fields + 1) event.fields = lines.substr(fields, event.size - 1 - fields);
  }
  return event;
}

uint64_t count_events(std::string_view lines, Shape shape) noexcept {
  if (shape != Shape::fields) return static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  uint64_t count = 0;
  for (; !lines.empty(); ++count) lines.remove_prefix(first_event(lines, shape).size);
  return count;
}

}  // namespace sallyport::log
