// The command line: which sub-command, with which options.
#pragma once

namespace sallyport {

// The process's exit code. Exceptions end here.
int command_line(int argc, char** argv);

}  // namespace sallyport
