#include <csignal>
#include <memory>

#include "admin/admin_server.h"
#include "base/log.h"
#include "cli/commands.h"
#include "runtime/control.h"

namespace sallyport {

int run_command(const std::filesystem::path& directory) {
  int code = 1;
  // A peer that is gone is an error of the call that noticed (splice has no flag for it), never the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  {
    Control control(directory);
    if (control.prepare()) {
      auto admin = std::make_unique<AdminServer>(control);
      code = control.run();
      admin.reset();
    }
  }
  log::stop();
  return code;
}

}  // namespace sallyport
