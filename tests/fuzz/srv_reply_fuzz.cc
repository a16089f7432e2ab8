// folders: net
#include <vector>

#include "base/host.h"
#include "expect.h"
#include "net/srv_reply.h"

using namespace sallyport;

// Whatever a name server sends: targets that are host names with a port, by priority, each once, and no more than
// allowed.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<uint8_t> exact(data, data + size);  // what is read behind it shows
  const auto found = parse_srv_reply(exact);
  if (!found) {
    FUZZ_EXPECT(!found.error().text().empty());
    return 0;
  }
  FUZZ_EXPECT(!found->targets.empty() && found->targets.size() <= kMostTargets && found->addresses.empty());
  FUZZ_EXPECT(found->ttl.count() >= 0);
  for (size_t i = 0; i < found->targets.size(); ++i) {
    const SrvTarget& target = found->targets[i];
    FUZZ_EXPECT(is_host_name(target.host) && normalized_host(target.host) == target.host && target.port != 0);
    FUZZ_EXPECT(i == 0 || found->targets[i - 1].priority <= target.priority);
    for (size_t other = 0; other < i; ++other)
      FUZZ_EXPECT(found->targets[other].host != target.host || found->targets[other].port != target.port);
  }
  return 0;
}
