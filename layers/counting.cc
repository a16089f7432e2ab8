#include "layers/counting.h"

#include <utility>

namespace sallyport {
namespace {

uint64_t advance(uint64_t& counted, uint64_t now) noexcept {
  return now > counted ? now - std::exchange(counted, now) : 0;
}

}  // namespace

void CountedBytes::count(const Client& client, const Service* service, const Endpoint* server, uint64_t in, uint64_t out) {
  const uint64_t more_in = advance(total_.in, in);
  const uint64_t more_out = advance(total_.out, out);
  client.worker->counters.bytes_in.add(more_in);
  client.worker->counters.bytes_out.add(more_out);
  ListenerCounters& listener = client.listener_counters();
  listener.received_bytes.add(more_in);
  listener.sent_bytes.add(more_out);
  const unsigned worker = client.worker->number;
  if (service != nullptr) {
    ServiceCounters& counters = service->stats->of(worker);
    counters.received_bytes.add(advance(service_.in, in));
    counters.sent_bytes.add(advance(service_.out, out));
  }
  if (server != nullptr) {
    ServerCounters& counters = server->stats.of(worker);
    counters.received_bytes.add(advance(server_.in, in));
    counters.sent_bytes.add(advance(server_.out, out));
  }
}

}  // namespace sallyport
