#include "layers/layer.h"

#include "layers/rules.h"
#include "layers/service.h"
#include "net/socket.h"

namespace sallyport {

const Address& Client::local() {
  if (local_.empty()) local_ = local_address(transport->fd()).unmapped();
  return local_;
}

ListenerCounters& Client::listener_counters() const { return listener->stats->of(worker->number); }

void Client::count_request() const {
  worker->counters.requests.add();
  listener_counters().requests.add();
}

void Client::reject(Rejection reason) const {
  worker->counters.reject(reason);
  listener_counters().rejected[static_cast<size_t>(reason)].add();
}

uint64_t client_key(const Address& address) noexcept { return stable_hash(address.ip_bytes()); }

AccessRecord::Counts counts_of(const Client& client, const Service* service) noexcept {
  AccessRecord::Counts counts;
  if (client.listener_connections != nullptr)
    counts.listener = client.listener_connections->load(std::memory_order_relaxed);
  if (service != nullptr && service->stats)
    service->stats->each([&](const ServiceCounters& worker) { counts.service += worker.open.get(); });
  return counts;
}

}  // namespace sallyport
