// Who listens to events: what each of them is told, and has been told already.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "admin/history.h"
#include "admin/responder.h"
#include "admin/service_json.h"
#include "runtime/control.h"

namespace sallyport {

class Events final : private Deadline::Owner {
 public:
  static constexpr size_t kMostListeners = 16;
  Events(Control& control, const History& history);

  // False: there are as many as may be.
  bool add(const Responder& responder, const Json& status);

  // One round of looking at the services; nothing is done while nobody listens.
  void begin(const Snapshot& snapshot);
  void look(size_t index, const Service& service, const ServiceTotals& totals);
  void end(const Json& status);
  // Somebody has changed a server: it is told without waiting for the round.
  void hurry() noexcept { hurried_ = true; }
  bool wanted() const noexcept { return !listeners_.empty(); }
  size_t listeners() const noexcept { return listeners_.size(); }

 private:
  // What is known of the service that stands at this place.
  struct Mark {
    std::string name;
    const Service* service = nullptr;
    uint64_t print = 0;    // of what may change
    uint64_t changed = 0;  // the round
    uint64_t written = 0;  // likewise, of what its file says
    uint64_t states = 0;   // a print of which servers may be used
  };
  struct Listener {
    Responder responder;
    uint64_t told = 0;      // rounds up to this one
    size_t next = 0;        // of the services it is told of for the first time
    bool complete = false;  // it has been told of all
    size_t changes = 0;     // of the services, where telling what changed has paused; 0: it has not
    uint64_t round = 0;     // that was told of by then
  };

  void on_deadline(Deadline& which) override;
  void sweep();
  void mark_all(std::shared_ptr<const Snapshot> snapshot);
  void tell_first(Listener& listener);
  void tell_changes(Listener& listener);
  Json json_of(const Mark& mark, bool written) const;
  void look_at_states();
  void send_services(Listener& listener, Json services, const std::vector<std::string>& gone,
                     bool complete = false) const;

  Control& control_;
  const History& history_;
  std::vector<Listener> listeners_;
  std::shared_ptr<const Snapshot> snapshot_;  // of the marks
  std::vector<Mark> marks_;
  std::vector<std::string> gone_;  // in this round
  Deadline first_{*this};  // goes on telling who has not been told of all
  Deadline quick_{*this};  // while somebody listens: has a server gone down or come back?
  uint64_t turns_ = 0;
  bool hurried_ = false;
  uint64_t round_ = 1;
  int64_t reload_told_ = 0;
};

}  // namespace sallyport
