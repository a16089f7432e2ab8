#include <csignal>
#include <cstdlib>
#include <memory>

#include "admin/admin_server.h"
#include "base/log.h"
#include "cli/commands.h"
#include "net/resolver.h"
#include "runtime/control.h"

namespace sallyport {

int run_command(const std::filesystem::path& directory) {
  int code = 1;
  // A peer that is gone is an error of the call that noticed (splice has no flag for it), never the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGUSR1, SIG_IGN);  // logrotate may not know that the gateway is still starting
  {
    Control control(directory);
    if (control.prepare()) {
      auto admin = std::make_unique<AdminServer>(control);
      code = control.run();
      admin.reset();
      // Everything has been said and done. Whoever stops the process does not wait for a name server.
      if (Resolver::pending() > 0) {
        log::stop();
        std::_Exit(code);
      }
    }
  }
  log::stop();
  return code;
}

}  // namespace sallyport
