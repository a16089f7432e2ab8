// A worker's HTTP/2 connections to one server, and who waits for one that is being made: a hundred requests at once
// must not open a hundred connections.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/list.h"
#include "metrics/counter.h"
#include "net/loop.h"
#include "upstream/h2_connection.h"
#include "upstream/h2_dial.h"
#include "upstream/server_queue.h"

namespace sallyport {

class H2Pool {
 public:
  static constexpr size_t kWaitersPerDial = 99;  // a new connection takes a hundred streams, until it says otherwise

  // holder: counts connections that hold a slot; may be null.
  explicit H2Pool(IoContext& io, IdleHolder* holder = nullptr) noexcept : io_(&io), holder_(holder) {}
  ~H2Pool();
  H2Pool(const H2Pool&) = delete;
  H2Pool& operator=(const H2Pool&) = delete;

  IoContext& io() noexcept { return *io_; }
  // One with room for a request; null: none. key: what must be equal: the name TLS was verified for, the PROXY header.
  H2Connection* find(std::string_view key, uint32_t generation);
  // dial: of those who wait for it; may be null.
  H2Connection& adopt(TransportPtr transport, std::string_view key, uint32_t generation, std::unique_ptr<H2Dial> dial,
                      ServerSlot slot = {});
  // One that no request uses. False: there is none.
  bool drop_idle();

  // What ALPN has told of this server: whether it is worth waiting for.
  bool only_http1() const noexcept { return only_http1_; }
  void learn(bool speaks_h2) noexcept { only_http1_ = !speaks_h2; }

  // A dial to wait for; null: none, or enough are waiting for each.
  H2Dial* dial(std::string_view key, uint32_t generation);
  void wait(H2Dial& dial, H2Waiter& waiter);
  std::unique_ptr<H2Dial> begin_dial(std::string_view key, uint32_t generation);

  size_t size() const noexcept { return size_; }
  // As Pool::count_in().
  void count_in(Counter& gauge) noexcept { gauge_ = &gauge; }

 private:
  friend class H2Connection;
  void drop(H2Connection& connection);

  IoContext* io_;
  IdleHolder* holder_;
  List<H2Connection> connections_;
  List<H2Dial> dials_;
  size_t size_ = 0;
  Counter* gauge_ = nullptr;
  bool only_http1_ = false;
};

}  // namespace sallyport
