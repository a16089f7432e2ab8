// What standard output is, and views that refresh themselves.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"

namespace sallyport {

// A terminal, and nobody has said NO_COLOR (no-color.org).
bool wants_colour();
struct TerminalSize {
  size_t columns = 80;
  size_t rows = 24;
};
TerminalSize terminal_size();

// Shows what draw() gives, every so many seconds: on a terminal in place, until q or Ctrl-C; elsewhere one after the
// other. times: 0 is for ever. An error at the beginning ends it, and so does one where nobody sees that it passes. The
// exit code.
int live_view(double every_seconds, unsigned times, const std::function<Result<std::string>(bool terminal)>& draw);

}  // namespace sallyport
