#include <cstdio>

#include "cli/admin_client.h"
#include "cli/commands.h"

namespace sallyport {

int health_command(const std::filesystem::path& directory, const std::string& socket) {
  const auto reply = AdminClient(directory, socket).ask("GET", "/health", {}, std::chrono::seconds(3));
  if (!reply) {
    std::fprintf(stderr, "%s\n", reply.error().detail.c_str());
    return 1;
  }
  std::fputs(reply->body.c_str(), stdout);
  return reply->status == 200 ? 0 : 1;
}

}  // namespace sallyport
