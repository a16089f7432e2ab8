#include "upstream/pool.h"

#include <utility>

namespace sallyport {

struct Pool::Idle final : ListHook<Idle>, IoHandler, Deadline::Owner, Doomed {
  Idle(Pool& the_pool, TransportPtr the_transport, std::string_view the_key, uint32_t the_generation)
      : pool(the_pool),
        transport(std::move(the_transport)),
        key(the_key),
        generation(the_generation),
        deadline(*this) {}

  // A server has nothing to say on a connection without a request, but for TLS session tickets, which bring no bytes.
  void on_io() override {
    if (transport->can_read() && transport->read() != Transport::Read::again) pool.drop(*this);
  }
  void on_deadline(Deadline&) override { pool.drop(*this); }

  Pool& pool;
  TransportPtr transport;
  std::string key;
  uint32_t generation;
  Deadline deadline;
};

Pool::~Pool() {
  while (Idle* idle = idle_.front()) drop(*idle);
}

void Pool::drop(Idle& idle) {
  static_cast<ListHook<Idle>&>(idle).unlink();
  idle.transport.reset();
  idle.deadline.disarm();
  static_cast<ListHook<Deadline>&>(idle.deadline).unlink();
  --size_;
  loop_->bury(std::unique_ptr<Doomed>(&idle));
}

TransportPtr Pool::take(std::string_view key, uint32_t generation, bool look) {
  for (Idle* idle = idle_.front(); idle != nullptr;) {
    Idle* next = idle_.next(*idle);
    if (idle->generation != generation) {
      drop(*idle);
    } else if (idle->key == key) {
      TransportPtr transport = std::move(idle->transport);
      transport->set_handler(nullptr);
      drop(*idle);
      if (!look || transport->quiet()) return transport;
    }
    idle = next;
  }
  return nullptr;
}

void Pool::give(TransportPtr transport, std::string_view key, uint32_t generation) {
  // Bytes behind a response, or its end: this connection must not meet another request.
  if (transport->hangup() || (transport->can_read() && transport->read() != Transport::Read::again)) return;
  if (size_ >= kMost) drop(*idle_.back());
  auto* idle = new Idle(*this, std::move(transport), key, generation);
  idle->transport->set_handler(idle);
  idle_.push_front(*idle);
  ++size_;
  loop_->arm(idle->deadline, kIdle);
}

}  // namespace sallyport
