#include "upstream/server_queue.h"

#include <algorithm>

namespace sallyport {
namespace {

// False: all are taken.
bool count_one(Endpoint& endpoint) noexcept {
  uint32_t taken = endpoint.slots_taken.load();
  while (taken < endpoint.max_connections())
    if (endpoint.slots_taken.compare_exchange_weak(taken, taken + 1)) return true;
  return false;
}

}  // namespace

struct SlotWaiter::Ticket {
  Loop* loop;
  SlotWaiter* waiter;  // of the loop's thread; null once it has left
  std::shared_ptr<ServerQueue> queue;
  std::vector<std::shared_ptr<Endpoint>> wanted;
  std::list<std::shared_ptr<Ticket>>::iterator place;
  bool queued = false;  // under the queue's lock

  bool wants(const Endpoint& endpoint) const noexcept {
    return std::any_of(wanted.begin(), wanted.end(), [&](const auto& one) { return one.get() == &endpoint; });
  }
};

bool ServerSlot::take(const std::shared_ptr<Endpoint>& endpoint, ServerSlot& slot) {
  if (endpoint->max_connections() == 0) return true;
  if (endpoint->queue && endpoint->queue->waiting() != 0 && endpoint->queue->waits_for(*endpoint)) return false;
  if (!count_one(*endpoint)) return false;
  slot = ServerSlot(endpoint);
  return true;
}

void ServerSlot::give_back() noexcept {
  const std::shared_ptr<Endpoint> endpoint = std::move(endpoint_);
  endpoint->slots_taken.fetch_sub(1);
  // Who joins counts itself before it looks for a free slot, so one of the two sees the other.
  if (endpoint->queue && endpoint->queue->waiting() != 0) endpoint->queue->serve(endpoint);
}

void SlotWaiter::stop_waiting() noexcept {
  const std::shared_ptr<Ticket> ticket = std::move(ticket_);
  if (!ticket) return;
  ticket->waiter = nullptr;
  ticket->queue->leave(*ticket);
}

bool ServerQueue::join(Loop& loop, SlotWaiter& waiter, std::vector<std::shared_ptr<Endpoint>> wanted, uint32_t most) {
  waiter.stop_waiting();
  auto ticket = std::make_shared<Ticket>();
  ticket->loop = &loop;
  ticket->waiter = &waiter;
  ticket->queue = shared_from_this();
  ticket->wanted = std::move(wanted);
  {
    std::lock_guard lock(mutex_);
    if (tickets_.size() >= most) return false;
    ticket->place = tickets_.insert(tickets_.end(), ticket);
    ticket->queued = true;
    waiting_.fetch_add(1);
  }
  waiter.ticket_ = ticket;
  for (const auto& endpoint : ticket->wanted) serve(endpoint);
  ask_for_idle();
  return true;
}

bool ServerQueue::waits_for(const Endpoint& endpoint) const {
  std::lock_guard lock(mutex_);
  return std::any_of(tickets_.begin(), tickets_.end(), [&](const auto& ticket) { return ticket->wants(endpoint); });
}

std::shared_ptr<ServerQueue::Ticket> ServerQueue::first_for(const Endpoint& endpoint) {
  const auto found = std::find_if(tickets_.begin(), tickets_.end(),
                                  [&](const auto& ticket) { return ticket->wants(endpoint); });
  if (found == tickets_.end()) return nullptr;
  std::shared_ptr<Ticket> ticket = *found;
  tickets_.erase(found);
  ticket->queued = false;
  waiting_.fetch_sub(1);
  return ticket;
}

// Gives what is free to those who wait for it.
void ServerQueue::serve(const std::shared_ptr<Endpoint>& endpoint) {
  for (;;) {
    std::shared_ptr<Ticket> ticket;
    {
      std::lock_guard lock(mutex_);
      const bool wanted = std::any_of(tickets_.begin(), tickets_.end(),
                                      [&](const auto& one) { return one->wants(*endpoint); });
      if (!wanted || !count_one(*endpoint)) return;
      ticket = first_for(*endpoint);
    }
    send(std::move(ticket), ServerSlot(endpoint));
  }
}

void ServerQueue::send(std::shared_ptr<Ticket> ticket, ServerSlot slot) {
  Loop& loop = *ticket->loop;
  // A message must be copyable: the slot travels in a shared box. One that is never delivered gives it back.
  auto box = std::make_shared<ServerSlot>(std::move(slot));
  loop.post([ticket = std::move(ticket), box] {
    SlotWaiter* waiter = std::exchange(ticket->waiter, nullptr);
    if (waiter == nullptr) return;
    waiter->ticket_.reset();
    waiter->on_slot(std::move(*box), {});
  });
}

bool ServerQueue::hand_over(Loop& loop, ServerSlot& slot, TransportPtr& transport, std::string_view key,
                            uint32_t generation) {
  if (waiting() == 0) return false;
  std::shared_ptr<Ticket> ticket;
  {
    std::lock_guard lock(mutex_);
    ticket = first_for(*slot.endpoint());
  }
  if (!ticket) return false;
  if (ticket->loop != &loop) {
    transport.reset();
    send(std::move(ticket), std::move(slot));
    return true;
  }
  SlotWaiter* waiter = std::exchange(ticket->waiter, nullptr);
  if (waiter == nullptr) return false;
  waiter->ticket_.reset();
  waiter->on_slot(std::move(slot), {std::move(transport), std::string(key), generation});
  return true;
}

void ServerQueue::leave(Ticket& ticket) noexcept {
  std::lock_guard lock(mutex_);
  if (!ticket.queued) return;
  ticket.queued = false;
  tickets_.erase(ticket.place);
  waiting_.fetch_sub(1);
}

void ServerQueue::enter(Loop& loop, IdleHolder& holder) {
  std::lock_guard lock(mutex_);
  holders_.push_back({&loop, &holder});
}

void ServerQueue::leave(IdleHolder& holder) {
  std::lock_guard lock(mutex_);
  std::erase_if(holders_, [&](const Holder& one) { return one.holder == &holder; });
}

bool ServerQueue::holds(const IdleHolder* holder) const {
  std::lock_guard lock(mutex_);
  return std::any_of(holders_.begin(), holders_.end(), [&](const Holder& one) { return one.holder == holder; });
}

void ServerQueue::ask_for_idle() {
  std::vector<Holder> asked;
  {
    std::lock_guard lock(mutex_);
    for (const Holder& one : holders_)
      if (one.holder->idle.load() != 0) asked.push_back(one);
  }
  for (const Holder& one : asked)
    one.loop->post([queue = shared_from_this(), holder = one.holder] {
      // It leaves on this very thread: what is still there now stays there meanwhile.
      if (queue->holds(holder)) holder->yield_idle();
    });
}

}  // namespace sallyport
