// Where log lines go: one target. A sink is used by the log's thread alone, and never makes it wait for long.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport::log {

enum class Level : uint8_t { error, warn, info, debug };

// What stands in a piece of the log.
enum class Shape : uint8_t {
  plain,    // lines as people see them
  stamped,  // the same behind "2026-11-20T13:37:00.123Z ": for targets that tell the time in their own way
  fields,   // NAME=value lines, MESSAGE first; an empty line ends each event: journald
};

struct Piece {
  std::string_view lines;  // whole ones, each with its end
  Level level = Level::info;
  bool access = false;
  Shape shape = Shape::plain;
};

// One line, or one event of fields, as a piece holds it.
struct Event {
  std::string_view time;     // as log::timestamp(); empty: none was kept
  std::string_view message;  // without line end
  std::string_view fields;   // NAME=value lines behind the message, each with its line end
  size_t size = 0;           // bytes of the piece
};
// lines must not be empty.
Event first_event(std::string_view lines, Shape shape) noexcept;
uint64_t count_events(std::string_view lines, Shape shape) noexcept;

class Sink {
 public:
  // name: for people, when it fails.
  explicit Sink(std::string name) : name_(std::move(name)) {}
  virtual ~Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Takes lines from the front and returns how many bytes it is done with. Fewer than all: the target takes no more
  // now, and why() says why, if something is wrong; the rest comes again later.
  virtual size_t write(const Piece& piece) = 0;
  // The target may be another by now: a log file was moved away. False: it could not be opened, why() says why; lines go
  // where they went before, and it is tried again.
  virtual bool reopen() { return true; }
  // How lines are made for it. Lines of another shape may still come after a change of the configuration.
  virtual Shape shape() const noexcept { return Shape::plain; }

  const std::string& name() const noexcept { return name_; }
  const std::string& why() const noexcept { return why_; }
  // Events that were taken and are known not to have arrived, since the last call.
  uint64_t take_lost() noexcept { return std::exchange(lost_, 0); }

 protected:
  std::string why_;
  uint64_t lost_ = 0;

 private:
  std::string name_;
};

}  // namespace sallyport::log
