// A worker's hold on a service. Services are shared by the snapshots of before and after a reload where they did not
// change; what a worker keeps for one (balancers, connections to its servers) lives as long as the service is served,
// and where it is not served any more, as long as something of it is in flight.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>

#include "layers/service.h"
#include "upstream/worker_upstream.h"

namespace sallyport {

// Of one worker, made with the first use. Touched by its thread only.
struct WorkerService {
  WorkerService(std::shared_ptr<const Service> the_service, UpstreamContextOfWorker& context, uint64_t seed)
      : service(std::move(the_service)) {
    if (service->upstream) upstream = std::make_unique<WorkerUpstream>(*service->upstream, context, seed);
  }
  std::shared_ptr<const Service> service;
  std::unique_ptr<WorkerUpstream> upstream;  // null: mode redirect
  uint32_t uses = 0;
  bool retired = false;                      // the newest snapshot has another of its name, or none
  std::shared_ptr<const Service> successor;  // retired: of that name in the newest snapshot; null: there is none
  uint64_t retired_ms = 0;                   // since when the successor is what it is
  bool swept = false;                        // what belongs to nothing any more has been ended
};

// Counts with a plain integer; to be kept by whatever belongs to the service: a request, a relay, an idle connection
// that remembers whose it was. Empty unless taken from Client::use().
class ServiceUse {
 public:
  ServiceUse() noexcept = default;
  explicit ServiceUse(WorkerService& of) noexcept : of_(&of) { ++of.uses; }
  ServiceUse(const ServiceUse& other) noexcept : of_(other.of_) {
    if (of_ != nullptr) ++of_->uses;
  }
  ServiceUse(ServiceUse&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  ServiceUse& operator=(ServiceUse other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~ServiceUse() { reset(); }
  void reset() noexcept {
    if (of_ != nullptr) --of_->uses;
    of_ = nullptr;
  }

  explicit operator bool() const noexcept { return of_ != nullptr; }
  const Service* get() const noexcept { return of_ != nullptr ? of_->service.get() : nullptr; }
  const Service& operator*() const noexcept { return *of_->service; }
  const Service* operator->() const noexcept { return of_->service.get(); }
  // Not of mode redirect.
  WorkerUpstream& upstream() const noexcept { return *of_->upstream; }
  // Another has taken its place, or none.
  bool retired() const noexcept { return of_ != nullptr && of_->retired; }
  // What is in flight with this server (null: with none yet) belongs to nothing that is still configured, since at
  // least so long.
  bool gone(const Endpoint* server, uint64_t now_ms, uint64_t since_ms) const noexcept;

 private:
  WorkerService* of_ = nullptr;
};

}  // namespace sallyport
