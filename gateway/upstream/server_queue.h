// Connections to servers with `max_connections`, counted over all workers, and who waits for one. A slot is held by a
// connection as long as it is open, idle ones in a pool included; so those are closed when somebody waits. One queue a
// service: a waiter takes the first slot that comes free of the servers it would go to, in the order of coming.
//
// Any thread. One short lock for who waits; a slot that nobody waits for is an atomic.
#pragma once
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "transport/transport.h"
#include "upstream/endpoint.h"

namespace sallyport {

// The right to one connection. Empty where the server has no limit.
class ServerSlot {
 public:
  ServerSlot() noexcept = default;
  ServerSlot(ServerSlot&& other) noexcept : endpoint_(std::move(other.endpoint_)) {}
  ServerSlot& operator=(ServerSlot&& other) noexcept {
    if (this != &other) {
      release();
      endpoint_ = std::move(other.endpoint_);
    }
    return *this;
  }
  ~ServerSlot() { release(); }
  explicit operator bool() const noexcept { return endpoint_ != nullptr; }
  const Endpoint* endpoint() const noexcept { return endpoint_.get(); }
  // To who waits, if anybody does.
  void release() noexcept {
    if (endpoint_) give_back();
  }

  // False: there is none now, or others wait for it. A server without a limit has an empty slot for everybody.
  static bool take(const std::shared_ptr<Endpoint>& endpoint, ServerSlot& slot);

 private:
  friend class ServerQueue;
  explicit ServerSlot(std::shared_ptr<Endpoint> endpoint) noexcept : endpoint_(std::move(endpoint)) {}
  void give_back() noexcept;
  std::shared_ptr<Endpoint> endpoint_;
};

// A connection that comes with a slot, from the same worker.
struct HandedOver {
  TransportPtr transport;  // null: the slot alone
  std::string key;         // of the pool
  uint32_t generation = 0;
};

// Somebody on a worker who waits. Leaves the queue when it dies.
class SlotWaiter {
 public:
  // On the worker's loop, once: to be noted only, and dealt with in the next turn.
  virtual void on_slot(ServerSlot slot, HandedOver connection) = 0;
  bool waiting() const noexcept { return ticket_ != nullptr; }
  // No slot will come; one that is on its way goes back.
  void stop_waiting() noexcept;

 protected:
  virtual ~SlotWaiter() { stop_waiting(); }

 private:
  friend class ServerQueue;
  struct Ticket;
  std::shared_ptr<Ticket> ticket_;
};

// A worker's idle connections to the servers of a service.
class IdleHolder {
 public:
  // On its loop: closes idle connections to servers that somebody waits for.
  virtual void yield_idle() = 0;
  std::atomic<uint32_t> idle{0};

 protected:
  ~IdleHolder() = default;
};

class ServerQueue : public std::enable_shared_from_this<ServerQueue> {
 public:
  // wanted: the servers that would do. most: of those who wait; false: there are as many.
  bool join(Loop& loop, SlotWaiter& waiter, std::vector<std::shared_ptr<Endpoint>> wanted, uint32_t most);
  uint32_t waiting() const noexcept { return waiting_.load(); }
  bool waits_for(const Endpoint& endpoint) const;

  // A connection with its slot has become free on this loop. True: it went to who waits here, or was closed for who
  // waits on another worker. False: nobody waits, it is still the caller's.
  bool hand_over(Loop& loop, ServerSlot& slot, TransportPtr& transport, std::string_view key, uint32_t generation);

  void enter(Loop& loop, IdleHolder& holder);
  void leave(IdleHolder& holder);

 private:
  friend class ServerSlot;
  friend class SlotWaiter;
  using Ticket = SlotWaiter::Ticket;
  struct Holder {
    Loop* loop;
    IdleHolder* holder;
  };

  std::shared_ptr<Ticket> first_for(const Endpoint& endpoint);  // under the lock; taken off the list
  void serve(const std::shared_ptr<Endpoint>& endpoint);
  void leave(Ticket& ticket) noexcept;
  bool holds(const IdleHolder* holder) const;
  void ask_for_idle();
  static void send(std::shared_ptr<Ticket> ticket, ServerSlot slot);

  mutable std::mutex mutex_;
  std::list<std::shared_ptr<Ticket>> tickets_;
  std::vector<Holder> holders_;
  std::atomic<uint32_t> waiting_{0};
};

}  // namespace sallyport
