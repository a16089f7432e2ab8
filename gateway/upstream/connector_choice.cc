// Which server a Connector goes to, and how it waits where all have what they may have.
#include <algorithm>
#include <utility>

#include "upstream/connector.h"

namespace sallyport {
namespace {

// How often who waits for a server looks whether any is left.
constexpr std::chrono::milliseconds kQueueTick{1'000};

}  // namespace

Error Connector::no_server() const {
  bool addressed = false;
  bool enabled = false;
  for (const auto& endpoint : upstream_->upstream.endpoints) {
    addressed = addressed || endpoint->has_address();
    enabled = enabled || endpoint->admin() == AdminState::enabled;
  }
  const char* why = !addressed ? "no server has an address" : enabled ? "no server is up" : "all servers are disabled or draining";
  return Error{Kind::unavailable, Side::upstream, Retry::no, 0, why, {}};
}

Balancer::Choice Connector::choose() {
  Balancer::Wish wish;
  wish.key = key_hash_;
  wish.tried = tried_;
  wish.preferred = preferred_;
  wish.full = upstream_->full();
  wish.now_ms = upstream_->context.io->loop.now();
  return upstream_->balancer.pick(wish);
}

void Connector::set_server(size_t index) {
  index_ = index;
  const auto& endpoint = upstream_->upstream.endpoints[index];
  generation_ = endpoint->generation();
  load_ = LoadTicket(endpoint);
}

Connector::Outcome* Connector::try_servers() {
  using Chosen = Balancer::Choice::Kind;
  const Upstream& upstream = upstream_->upstream;
  const int retries = upstream.retry_on.connect ? upstream.retries : 0;
  while (attempts_ <= retries) {
    const Balancer::Choice choice = choose();
    if (choice.kind == Chosen::none && attempts_ == 0 && tried_ != 0) {
      tried_ = 0;
      continue;
    }
    if (choice.kind == Chosen::none) break;
    if (choice.kind == Chosen::busy) return wait_in_queue(choice.index);
    set_server(static_cast<size_t>(choice.index));
    ++attempts_;
    Outcome* outcome = go_on();
    if (outcome == nullptr || outcome->ok() || outcome->error().kind == Kind::limit) return outcome;
  }
  load_ = LoadTicket();
  if (attempts_ == 0) error_ = no_server();
  return failed();
}

// With the server that was chosen. An error is an attempt that failed, and counted as one.
Connector::Outcome* Connector::go_on() {
  switch (find_connection()) {
    case Where::found: return &*outcome_;
    case Where::waiting: return nullptr;
    case Where::busy:
      --attempts_;
      return wait_in_queue(static_cast<int>(index_));
    case Where::connect: break;
  }
  const Progress progress = begin(index_);
  if (progress == Progress::waiting) return nullptr;
  if (progress == Progress::connected && take_connection()) return &*outcome_;
  attempt_failed();
  return failed();
}

// index: of the only server that would do; -1: any that is up.
Connector::Outcome* Connector::wait_in_queue(int index) {
  const Upstream& upstream = upstream_->upstream;
  load_ = LoadTicket();
  seat_.release();
  // Another would do as well, unless the client belongs to this one.
  if (index >= 0 && index != preferred_ && upstream.balance != config::Balance::source_hash &&
      upstream.balance != config::Balance::uri_hash)
    index = -1;
  std::vector<std::shared_ptr<Endpoint>> wanted;
  if (index >= 0)
    wanted.push_back(upstream.endpoints[static_cast<size_t>(index)]);
  else
    for (size_t i : upstream_->balancer.candidates(tried_, preferred_)) wanted.push_back(upstream.endpoints[i]);
  Loop& loop = upstream_->context.io->loop;
  if (!upstream.queue->join(loop, *this, std::move(wanted), upstream.queue_limits.size)) {
    error_ = Error{Kind::limit, Side::upstream, Retry::no, 0, "all servers are busy, and the queue is full", {}};
    return failed();
  }
  queued_for_ = index;
  if (queued_ms_ == 0) queued_ms_ = loop.now();
  loop.arm(deadline_, kQueueTick);
  return nullptr;
}

void Connector::on_slot(ServerSlot slot, HandedOver connection) {
  deadline_.disarm();
  slot_ = std::move(slot);
  handed_ = std::move(connection);
  upstream_->context.io->loop.run_soon(*this);
}

void Connector::on_queue_deadline() {
  Loop& loop = upstream_->context.io->loop;
  const auto limit = static_cast<uint64_t>(upstream_->upstream.queue_limits.timeout.count());
  if (limit != 0 && loop.now() - queued_ms_ >= limit) {
    stop_waiting();
    error_ = Error{Kind::limit, Side::upstream, Retry::no, 0, "all servers were busy for as long as the queue lets wait", {}};
    report(*failed());
    return;
  }
  // Those it waits for may have gone down meanwhile.
  const auto candidates = upstream_->balancer.candidates(tried_, preferred_);
  const bool hopeful = queued_for_ < 0 ? !candidates.empty()
                                       : std::find(candidates.begin(), candidates.end(),
                                                   static_cast<size_t>(queued_for_)) != candidates.end();
  if (hopeful) {
    const uint64_t left = limit == 0 ? UINT64_MAX : queued_ms_ + limit - loop.now();
    loop.arm(deadline_, std::min(kQueueTick, std::chrono::milliseconds(std::min<uint64_t>(left, 1'000))));
    return;
  }
  stop_waiting();
  if (Outcome* outcome = try_servers()) report(*outcome);
}

bool Connector::take_handed() {
  HandedOver handed = std::exchange(handed_, {});
  const Endpoint& endpoint = *upstream_->upstream.endpoints[index_];
  if (!handed.transport || !pooled_ || handed.generation != generation_ ||
      handed.key != pool_key(upstream_->upstream, endpoint, host_) || (must_be_alive_ && !handed.transport->quiet()))
    return false;
  ServerConnection& connection = connected();
  connection.transport = std::move(handed.transport);
  connection.reused = true;
  settle(connection);
  return true;
}

void Connector::settle(ServerConnection& connection) {
  connection.load = std::move(load_);
  connection.endpoint = index_;
  connection.generation = generation_;
  connection.slot = std::move(slot_);
  const Upstream& upstream = upstream_->upstream;
  Endpoint& endpoint = *upstream.endpoints[index_];
  if (!http_) endpoint.health.traffic_passed();
  if (upstream.sticky && client_ != nullptr && stuck_to_ != endpoint.hash())
    upstream.sticky->store(*client_, endpoint.hash(), upstream_->context.io->loop.now());
}

}  // namespace sallyport
