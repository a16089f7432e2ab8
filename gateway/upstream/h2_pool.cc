#include "upstream/h2_pool.h"

#include <utility>

namespace sallyport {

H2Pool::~H2Pool() {
  while (H2Connection* connection = connections_.front()) drop(*connection);
}

H2Connection* H2Pool::find(std::string_view key, uint32_t generation) {
  for (H2Connection* connection = connections_.front(); connection != nullptr;
       connection = connections_.next(*connection))
    if (connection->generation() == generation && connection->key() == key && connection->has_room()) return connection;
  return nullptr;
}

H2Connection& H2Pool::adopt(TransportPtr transport, std::string_view key, uint32_t generation,
                            std::unique_ptr<H2Dial> dial, ServerSlot slot) {
  auto* connection = new H2Connection(*this, std::move(transport), key, generation, std::move(dial));
  if (slot && holder_ != nullptr) holder_->idle.fetch_add(1);
  connection->slot = std::move(slot);
  connections_.push_front(*connection);
  ++size_;
  if (gauge_ != nullptr) gauge_->add();
  return *connection;
}

void H2Pool::drop(H2Connection& connection) {
  static_cast<ListHook<H2Connection>&>(connection).unlink();
  --size_;
  if (gauge_ != nullptr) gauge_->subtract();
  if (connection.slot && holder_ != nullptr) holder_->idle.fetch_sub(1);
  connection.leave();
  connection.slot.release();
  io_->loop.bury(std::unique_ptr<Doomed>(&connection));
}

bool H2Pool::drop_idle() {
  for (H2Connection* connection = connections_.front(); connection != nullptr;
       connection = connections_.next(*connection))
    if (connection->idle()) {
      drop(*connection);
      return true;
    }
  return false;
}

H2Dial* H2Pool::dial(std::string_view key, uint32_t generation) {
  for (H2Dial* dial = dials_.front(); dial != nullptr; dial = dials_.next(*dial))
    if (dial->generation == generation && dial->key == key && dial->waiting < kWaitersPerDial) return dial;
  return nullptr;
}

void H2Pool::wait(H2Dial& dial, H2Waiter& waiter) {
  dial.waiters.push_back(waiter);
  ++dial.waiting;
}

std::unique_ptr<H2Dial> H2Pool::begin_dial(std::string_view key, uint32_t generation) {
  auto dial = std::make_unique<H2Dial>();
  dial->key = key;
  dial->generation = generation;
  dials_.push_back(*dial);
  return dial;
}

}  // namespace sallyport
