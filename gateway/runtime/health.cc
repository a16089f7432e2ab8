#include "runtime/health.h"

#include <algorithm>

#include "base/log.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSecond{1'000};
// A name gets this long after a start or a reload before it is held against its server.
constexpr uint64_t kNameGrace = 3'000;
constexpr milliseconds kNameAgain{250};

}  // namespace

// One server that is checked.
class Health::Target final : public ListHook<Target>, private Deadline::Owner, private HealthCheck::Owner {
 public:
  Target(Health& health, Group& group, std::shared_ptr<Endpoint> endpoint)
      : health_(health), group_(&group), endpoint_(std::move(endpoint)) {}
  ~Target() { stop(); }

  const std::shared_ptr<Endpoint>& endpoint() const noexcept { return endpoint_; }
  void move_to(Group& group) noexcept { group_ = &group; }
  void arm(milliseconds after) { health_.loop_.arm(deadline_, std::max(after, milliseconds(1))); }
  // What runs or waits was begun under other rules, or nobody asks for it any more.
  void stop() {
    if (busy_) --health_.running_;
    busy_ = false;
    check_.reset();
    unlink();
  }

  void begin() {
    stop();
    started_ms_ = health_.loop_.now();
    generation_ = endpoint_->generation();
    if (!endpoint_->has_address()) {
      const bool fresh = endpoint_->health.report().state == EndpointHealth::State::unchecked;
      if (fresh && started_ms_ - health_.followed_ms_ < kNameGrace) return arm(kNameAgain);
      if (endpoint_->place() != Endpoint::kNoPlace) {  // the name stands for fewer servers now
        health_.look_at(*group_);
        return arm(group_->plan->rules.interval);
      }
    }
    if (!health_.io_) health_.io_ = std::make_unique<IoContext>(health_.loop_);
    busy_ = true;
    ++health_.running_;
    HealthCheck::Owner& owner = *this;
    check_ = std::make_unique<HealthCheck>(*health_.io_, owner, group_->plan, endpoint_);
    if (auto outcome = check_->start()) on_checked(std::move(*outcome));
  }

 private:
  void on_deadline(Deadline&) override { health_.begin(*this); }
  void on_checked(HealthCheck::Outcome outcome) override;
  void went_down(const std::string& reason);
  void went_up();

  Health& health_;
  Group* group_;
  std::shared_ptr<Endpoint> endpoint_;
  std::unique_ptr<HealthCheck> check_;  // running, or still closing
  Deadline deadline_{*this};
  uint64_t started_ms_ = 0;
  uint32_t generation_ = 0;
  uint64_t down_ms_ = 0;  // since when; 0: it is not
  bool busy_ = false;
};

void Health::Target::on_checked(HealthCheck::Outcome outcome) {
  busy_ = false;
  --health_.running_;
  const config::Health& rules = group_->plan->rules;
  const uint64_t now = health_.loop_.now();
  // Its name has moved on: what was asked is not this server any more.
  if (endpoint_->generation() != generation_) {
    arm(kNameAgain);
    return health_.ended();
  }
  if (outcome.passed) {
    if (endpoint_->health.check_passed(rules, now, outcome.took_us)) went_up();
  } else {
    log::debug("service {}: server {}: check failed: {}", group_->plan->service, endpoint_->label(), outcome.reason);
    if (!outcome.connected && health_.hooks_.connect_failed) health_.hooks_.connect_failed(*endpoint_);
    if (endpoint_->health.check_failed(rules, now, outcome.took_us, outcome.reason)) went_down(outcome.reason);
  }
  // What is in doubt is asked sooner.
  const bool sound = outcome.passed && endpoint_->health.report().state == EndpointHealth::State::up;
  const milliseconds pause =
      health_.jittered(sound ? rules.interval : std::max(rules.interval / 2, std::min(rules.interval, kSecond)));
  const milliseconds passed(now - started_ms_);
  arm(pause - std::min(pause, passed));
  health_.look_at(*group_);
  health_.ended();
}

void Health::Target::went_down(const std::string& reason) {
  down_ms_ = health_.loop_.now();
  log::warn("service {}: server {} is down: {}", group_->plan->service, endpoint_->label(), reason);
  health_.tell(*group_, endpoint_.get(), false, reason, 0);
  if (group_->plan->rules.close_on_down && health_.hooks_.on_down) health_.hooks_.on_down(endpoint_);
}

void Health::Target::went_up() {
  const uint64_t down = down_ms_ == 0 ? 0 : health_.loop_.now() - down_ms_;
  down_ms_ = 0;
  log::info("service {}: server {} is up again after {} s", group_->plan->service, endpoint_->label(),
            (down + 500) / 1000);
  health_.tell(*group_, endpoint_.get(), true, {}, down);
}

Health::Health(Loop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}

Health::~Health() {
  targets_.clear();
  // What the checks leave behind names the buffers of io_.
  loop_.purge();
}

// Sooner only: what went down is known to be down within fall × interval.
milliseconds Health::jittered(milliseconds time) {
  std::uniform_real_distribution<double> factor(0.8, 1.0);
  return milliseconds(static_cast<int64_t>(static_cast<double>(time.count()) * factor(random_)));
}

void Health::follow(const Snapshot& snapshot) {
  followed_ms_ = loop_.now();
  auto old_groups = std::move(groups_);
  auto old = std::move(targets_);
  groups_.clear();
  targets_.clear();
  for (const auto& service : snapshot.services) {
    if (!service->upstream) continue;
    const Upstream& upstream = *service->upstream;
    if (!upstream.health.checks() && upstream.health.passive_failures == 0) continue;
    auto group = std::make_unique<Group>();
    group->plan = std::make_shared<HealthPlan>(upstream);
    group->fingerprint = service->config.fingerprint;
    group->endpoints = upstream.endpoints;
    bool same_rules = false;
    if (auto it = old_groups.find(upstream.service); it != old_groups.end()) {
      same_rules = it->second->fingerprint == group->fingerprint;
      group->out = it->second->out;
      for (const auto& endpoint : group->endpoints)
        if (it->second->out_by_traffic.contains(endpoint.get())) group->out_by_traffic.insert(endpoint.get());
    }
    if (upstream.health.checks()) keep_watch(old, *group, same_rules);
    groups_.emplace(upstream.service, std::move(group));
  }
  for (auto& [key, target] : old) target->endpoint()->health.forget_checks(loop_.now());
  old.clear();
  ended();
  for (auto& [name, group] : groups_)
    if (group->out) look_at(*group);
  if (!groups_.empty() && !second_.armed()) loop_.arm(second_, kSecond);
}

// Under other rules a server keeps its state; the next check judges it by them.
void Health::keep_watch(Targets& old, Group& group, bool same_rules) {
  const milliseconds spread = std::min(group.plan->rules.interval, kSecond);
  std::uniform_int_distribution<int64_t> within(1, std::max<int64_t>(spread.count(), 1));
  for (const auto& endpoint : group.endpoints) {
    if (targets_.contains(endpoint.get())) continue;  // written twice
    auto it = old.find(endpoint.get());
    const bool fresh = it == old.end() || !same_rules;
    std::unique_ptr<Target> target;
    if (it != old.end()) {
      target = std::move(it->second);
      old.erase(it);
      target->move_to(group);
      if (!same_rules) target->stop();
    } else {
      target = std::make_unique<Target>(*this, group, endpoint);
    }
    if (fresh) target->arm(milliseconds(within(random_)));
    targets_.emplace(endpoint.get(), std::move(target));
  }
}

void Health::begin(Target& target) {
  if (running_ < kMostAtOnce)
    target.begin();
  else
    waiting_.push_back(target);
}

// A place has become free. A check that is over at once calls this again: one loop is enough.
void Health::ended() {
  if (filling_) return;
  filling_ = true;
  while (running_ < kMostAtOnce) {
    Target* next = waiting_.pop_front();
    if (next == nullptr) break;
    next->begin();
  }
  filling_ = false;
}

// One that only traffic found fault with is still tried where there is no other.
void Health::look_at(Group& group) {
  const bool out = std::all_of(group.endpoints.begin(), group.endpoints.end(), [](const auto& endpoint) {
    return !endpoint->has_address() || endpoint->health.dead() || endpoint->admin() == AdminState::disabled;
  });
  if (out == group.out) return;
  group.out = out;
  if (out)
    log::error("service {}: no server is left", group.plan->service);
  else
    log::info("service {}: has a server again", group.plan->service);
  tell(group, nullptr, !out, {}, 0);
}

void Health::tell(const Group& group, const Endpoint* server, bool good, const std::string& reason, uint64_t down_ms) {
  if (hooks_.changed) hooks_.changed(group.plan->service, server, good, reason, down_ms);
}

// Workers take servers out by what traffic meets, and write it into the log. What is done about it here is seen from
// here, a second later at most.
void Health::look_at_traffic(Group& group) {
  for (const auto& endpoint : group.endpoints) {
    const bool usable = endpoint->health.usable();
    if (usable ? group.out_by_traffic.erase(endpoint.get()) > 0
               : !endpoint->health.dead() && group.out_by_traffic.insert(endpoint.get()).second)
      tell(group, endpoint.get(), usable, usable ? std::string() : endpoint->health.report().reason, 0);
  }
}

void Health::on_deadline(Deadline&) {
  const uint64_t now = loop_.now();
  for (auto& [name, group] : groups_) {
    if (group->out) look_at(*group);  // a server may have been enabled
    if (group->plan->rules.passive_failures == 0) continue;
    for (const auto& endpoint : group->endpoints)
      if (endpoint->health.release_traffic(now))
        log::info("service {}: server {} is tried again", group->plan->service, endpoint->label());
    look_at_traffic(*group);
  }
  if (!groups_.empty()) loop_.arm(second_, kSecond);
}

}  // namespace sallyport
