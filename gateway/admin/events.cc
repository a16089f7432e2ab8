#include "admin/events.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "admin/report_json.h"

namespace sallyport {
namespace {

constexpr size_t kBatch = 50;
constexpr size_t kEnoughUnsent = 128 * 1024;
constexpr std::chrono::milliseconds kAgain{64};
constexpr std::chrono::milliseconds kQuick{100};

class Print {
 public:
  void add(uint64_t value) noexcept { value_ = (value_ ^ value) * 0x9e3779b97f4a7c15ULL + (value_ >> 29); }
  void add(double value) noexcept {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    add(bits);
  }
  uint64_t value() const noexcept { return value_; }

 private:
  uint64_t value_ = 0x2545f4914f6cdd1dULL;
};

uint64_t print_of(const Service& service, const ServiceTotals& totals, const History::Rates& rates) {
  Print print;
  print.add(totals.connections);
  print.add(totals.open);
  print.add(totals.requests);
  print.add(totals.errors);
  print.add(totals.retries);
  print.add(totals.received_bytes);
  print.add(totals.sent_bytes);
  for (double rate : rates) print.add(rate);
  if (!service.upstream) return print.value();
  if (service.upstream->sticky) print.add(uint64_t{service.upstream->sticky->size()});
  if (service.upstream->queue) print.add(uint64_t{service.upstream->queue->waiting()});
  for (const auto& endpoint : service.upstream->endpoints) {
    const EndpointHealth::Report health = endpoint->health.report();
    print.add(static_cast<uint64_t>(health.state));
    print.add(static_cast<uint64_t>(health.since));
    print.add(uint64_t{std::hash<std::string>{}(health.reason)});
    print.add(static_cast<uint64_t>(endpoint->admin()));
    print.add(uint64_t{endpoint->weight()});
    print.add(uint64_t{endpoint->load.load(std::memory_order_relaxed)});
    print.add(uint64_t{endpoint->slots_taken.load(std::memory_order_relaxed)});
    print.add(uint64_t{endpoint->generation()} * 2 + (endpoint->has_address() ? 1 : 0));
  }
  return print.value();
}

uint64_t states_of(const Service& service) {
  Print print;
  if (!service.upstream) return print.value();
  for (const auto& endpoint : service.upstream->endpoints)
    print.add(uint64_t{endpoint->weight()} * 8 + static_cast<uint64_t>(endpoint->admin()) * 2 +
              (endpoint->health.usable() ? 1 : 0));
  return print.value();
}

bool is_kept(const config::Config& config, const std::string& name) {
  return std::any_of(config.kept.begin(), config.kept.end(), [&](const auto& one) { return one.name == name; });
}

}  // namespace

Events::Events(Control& control, const History& history)
    : control_(control), history_(history), reload_told_(control.last_reload().time) {}

bool Events::add(const Responder& responder, const Json& status) {
  sweep();
  if (listeners_.size() >= kMostListeners) return false;
  responder.client()->begin_events();
  if (responder.client() == nullptr) return true;
  if (listeners_.empty()) reload_told_ = control_.last_reload().time;
  responder.client()->send_event("status", text_of(status));
  listeners_.push_back({responder});
  if (!snapshot_) mark_all(control_.snapshot_ptr());
  tell_first(listeners_.back());
  if (!quick_.armed()) {
    turns_ = EndpointHealth::turns();
    control_.loop().arm(quick_, kQuick);
  }
  return true;
}

// Forgets who has gone.
void Events::sweep() {
  std::erase_if(listeners_, [](const Listener& one) { return one.responder.client() == nullptr; });
  if (!listeners_.empty()) return;
  snapshot_.reset();
  marks_ = {};
}

void Events::begin(const Snapshot& snapshot) {
  sweep();
  if (listeners_.empty()) return;
  ++round_;
  gone_.clear();
  if (snapshot_.get() == &snapshot) return;
  mark_all(control_.snapshot_ptr());
  for (Listener& listener : listeners_) listener.next = listener.changes = 0;  // who has not been told of all begins again
}

// What was known of services that stay is kept, so that only what has changed is told.
void Events::mark_all(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  std::unordered_map<std::string, Mark> before;
  for (Mark& mark : marks_) {
    std::string name = mark.name;
    before.emplace(std::move(name), std::move(mark));
  }
  marks_.clear();
  marks_.reserve(snapshot_->services.size());
  for (const auto& service : snapshot_->services) {
    Mark mark;
    mark.name = service->config.name;
    mark.service = service.get();
    mark.written = mark.changed = round_;
    mark.states = states_of(*service);
    if (const auto found = before.find(mark.name); found != before.end()) {
      if (found->second.service == mark.service) mark = std::move(found->second);
      before.erase(found);
    }
    marks_.push_back(std::move(mark));
  }
  for (const auto& [name, mark] : before) gone_.push_back(name);
}

void Events::look(size_t index, const Service& service, const ServiceTotals& totals) {
  if (listeners_.empty() || index >= marks_.size()) return;
  Mark& mark = marks_[index];
  const uint64_t print = print_of(service, totals, history_.rates(mark.name));
  if (print != mark.print) mark.changed = round_;
  mark.print = print;
  mark.states = states_of(service);
}

// A state is not kept waiting for the round: this looks at nothing else, and is quick with a hundred thousand services.
void Events::look_at_states() {
  const uint64_t turns = EndpointHealth::turns();
  if (turns == turns_ && !hurried_) return;
  if (snapshot_ != control_.snapshot_ptr()) return;  // the next round sees to it
  turns_ = turns;
  hurried_ = false;
  ++round_;
  for (Mark& mark : marks_) {
    const uint64_t states = states_of(*mark.service);
    if (states != mark.states) mark.changed = round_;
    mark.states = states;
  }
  for (Listener& listener : listeners_)
    if (listener.complete) tell_changes(listener);
}

void Events::end(const Json& status) {
  if (listeners_.empty()) return;
  const std::string text = text_of(status);
  const ReloadReport& reload = control_.last_reload();
  const bool reloaded = reload.time != reload_told_;
  const std::string report = reloaded ? text_of(report_json(reload)) : std::string();
  reload_told_ = reload.time;
  for (Listener& listener : listeners_) {
    const auto send = [&](std::string_view name, std::string_view data) {
      if (auto* client = listener.responder.client()) client->send_event(name, data);
    };
    send("status", text);
    if (reloaded) send("reload", report);
    send_services(listener, Json::array(), gone_);
    if (listener.complete)
      tell_changes(listener);
    else
      tell_first(listener);
  }
}

Json Events::json_of(const Mark& mark, bool written) const {
  return service_json(*mark.service, totals_of(*mark.service), history_.rates(mark.name), written,
                      is_kept(snapshot_->config, mark.name));
}

void Events::send_services(Listener& listener, Json services, const std::vector<std::string>& gone,
                           bool complete) const {
  auto* client = listener.responder.client();
  if (client == nullptr || (services.empty() && gone.empty() && !complete)) return;
  Json event;
  event["services"] = std::move(services);
  event["gone"] = gone;
  if (complete) event["complete"] = true;
  client->send_event("services", text_of(event));
}

// All of them, as many at a time as the client reads.
void Events::tell_first(Listener& listener) {
  if (listener.next == 0) listener.told = round_;
  do {
    auto* client = listener.responder.client();
    if (client == nullptr) return;
    if (client->unsent() > kEnoughUnsent) {
      control_.loop().arm(first_, kAgain);
      return;
    }
    Json services = Json::array();
    for (size_t i = 0; i < kBatch && listener.next < marks_.size(); ++i) {
      services.push_back(json_of(marks_[listener.next++], true));
    }
    send_services(listener, std::move(services), {}, listener.next == marks_.size());
  } while (listener.next < marks_.size());
  listener.complete = true;
}

// As many at a time as the client reads: the rest, and what changes meanwhile, comes when it has.
void Events::tell_changes(Listener& listener) {
  if (listener.changes == 0) listener.round = round_;
  size_t at = listener.changes;
  while (at < marks_.size()) {
    auto* client = listener.responder.client();
    if (client == nullptr) return;
    if (client->unsent() > kEnoughUnsent) {
      listener.changes = at;
      control_.loop().arm(first_, kAgain);
      return;
    }
    Json services = Json::array();
    for (; at < marks_.size() && services.size() < kBatch; ++at)
      if (const Mark& mark = marks_[at]; mark.changed > listener.told)
        services.push_back(json_of(mark, mark.written > listener.told));
    send_services(listener, std::move(services), {});
  }
  listener.changes = 0;
  listener.told = listener.round;
}

void Events::on_deadline(Deadline& which) {
  if (&which == &quick_) {
    sweep();
    if (listeners_.empty()) return;
    look_at_states();
    control_.loop().arm(quick_, kQuick);
    return;
  }
  if (snapshot_ != control_.snapshot_ptr()) return;  // the next round sees to it
  for (Listener& listener : listeners_) {
    if (!listener.complete)
      tell_first(listener);
    else if (listener.changes > 0)
      tell_changes(listener);
  }
}

}  // namespace sallyport
