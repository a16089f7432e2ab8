// Every two seconds, looks at all services: their counters for the history, and what has changed for who listens. A
// hundred thousand services are looked at in slices, so that nothing else of the control thread waits.
#pragma once
#include <functional>
#include <memory>

#include "admin/history.h"
#include "admin/status_json.h"
#include "net/loop.h"
#include "runtime/control.h"

namespace sallyport {

class Sampler final : private Deadline::Owner, private Runnable {
 public:
  struct Hooks {
    // Before the first service of a round; what is held is the snapshot that is looked at.
    std::function<void(const Snapshot&)> begin;
    std::function<void(size_t index, const Service&, const ServiceTotals&)> look;
    std::function<void()> end;
  };
  Sampler(Control& control, History& history, Hooks hooks);
  // As of the last round; of now, where a reload has come since.
  ServiceCounts services() const;

 private:
  static constexpr size_t kSlice = 1000;
  void on_deadline(Deadline& which) override;
  void on_run() override;
  void end();

  Control& control_;
  History& history_;
  Hooks hooks_;
  Deadline deadline_{*this};
  uint64_t due_ms_;
  std::shared_ptr<const Snapshot> snapshot_;  // while a round is under way
  size_t next_ = 0;
  ServiceCounts counting_;
  ServiceCounts services_;
  std::weak_ptr<const Snapshot> services_of_;
};

}  // namespace sallyport
