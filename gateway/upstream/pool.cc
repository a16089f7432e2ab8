#include "upstream/pool.h"

#include <utility>

namespace sallyport {

struct Pool::Idle final : ListHook<Idle>, IoHandler, Deadline::Owner, Doomed {
  explicit Idle(Pool& the_pool) : pool(the_pool), deadline(*this) {}

  // A server has nothing to say on a connection without a request, but for TLS session tickets, which bring no bytes.
  void on_io() override {
    if (transport->can_read() && transport->read() != Transport::Read::again) pool.drop(*this);
  }
  void on_deadline(Deadline&) override { pool.drop(*this); }

  Pool& pool;
  TransportPtr transport;
  ServerSlot slot;
  std::string key;
  uint32_t generation = 0;
  Deadline deadline;
};

Pool::Pool(Loop& loop, IdleHolder* holder) noexcept : loop_(&loop), holder_(holder) {}

Pool::~Pool() {
  while (Idle* idle = idle_.front()) drop(*idle);
}

TransportPtr Pool::leave(Idle& idle, ServerSlot& slot) {
  static_cast<ListHook<Idle>&>(idle).unlink();
  idle.deadline.disarm();
  static_cast<ListHook<Deadline>&>(idle.deadline).unlink();
  --size_;
  if (gauge_ != nullptr) gauge_->subtract();
  if (idle.slot && holder_ != nullptr) holder_->idle.fetch_sub(1);
  slot = std::move(idle.slot);
  idle.transport->set_handler(nullptr);
  return std::move(idle.transport);
}

// From within its own callbacks too.
void Pool::drop(Idle& idle) {
  ServerSlot slot;  // given up last: whoever waits for it may connect at once
  leave(idle, slot).reset();
  loop_->bury(std::unique_ptr<Doomed>(&idle));
}

bool Pool::drop_oldest() {
  if (idle_.empty()) return false;
  drop(*idle_.back());
  return true;
}

TransportPtr Pool::take(std::string_view key, uint32_t generation, bool look, ServerSlot* slot) {
  for (Idle* idle = idle_.front(); idle != nullptr;) {
    Idle* next = idle_.next(*idle);
    if (idle->generation != generation) {
      drop(*idle);
    } else if (idle->key == key) {
      ServerSlot own;
      TransportPtr transport = leave(*idle, own);
      if (spare_.size() < kSpare)
        spare_.emplace_back(idle);
      else
        delete idle;
      if (!look || transport->quiet()) {
        if (slot != nullptr) *slot = std::move(own);
        return transport;
      }
      transport.reset();
    }
    idle = next;
  }
  return nullptr;
}

void Pool::give(TransportPtr transport, std::string_view key, uint32_t generation, ServerSlot slot) {
  // Bytes behind a response, or its end: this connection must not meet another request.
  if (transport->hangup() || (transport->can_read() && transport->read() != Transport::Read::again)) return;
  if (size_ >= kMost) drop(*idle_.back());
  if (spare_.empty()) spare_.push_back(std::make_unique<Idle>(*this));
  Idle* idle = spare_.back().release();
  spare_.pop_back();
  idle->transport = std::move(transport);
  idle->slot = std::move(slot);
  if (idle->slot && holder_ != nullptr) holder_->idle.fetch_add(1);
  idle->key = key;
  idle->generation = generation;
  idle->transport->set_handler(idle);
  idle_.push_front(*idle);
  ++size_;
  if (gauge_ != nullptr) gauge_->add();
  loop_->arm(idle->deadline, kIdle);
}

}  // namespace sallyport
