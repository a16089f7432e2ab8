// A worker's HTTP/2 connections to one server, and who waits for one that is being made: a hundred requests at once
// must not open a hundred connections.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/list.h"
#include "net/loop.h"
#include "upstream/h2_connection.h"

namespace sallyport {

class H2Pool {
 public:
  // A connection in the making. Owned by who makes it; those who wait are told by over().
  class Waiter : public ListHook<Waiter> {
   public:
    // error: null if it was made (or given up: then somebody else has to try). To be noted only: it is dealt with in
    // the next turn.
    virtual void on_dialed(const Error* error) = 0;

   protected:
    ~Waiter() = default;
  };
  struct Dial : ListHook<Dial> {
    std::string key;
    uint32_t generation = 0;
    List<Waiter> waiters;
    size_t waiting = 0;
  };
  static constexpr size_t kWaitersPerDial = 99;  // a new connection takes a hundred streams, until it says otherwise

  H2Pool(IoContext& io) noexcept : io_(&io) {}
  ~H2Pool();
  H2Pool(const H2Pool&) = delete;
  H2Pool& operator=(const H2Pool&) = delete;

  IoContext& io() noexcept { return *io_; }
  // One with room for a request; null: none. key: what must be equal: the name TLS was verified for, the PROXY header.
  H2Connection* find(std::string_view key, uint32_t generation);
  H2Connection& adopt(TransportPtr transport, std::string_view key, uint32_t generation);

  // What ALPN has told of this server: whether it is worth waiting for.
  bool only_http1() const noexcept { return only_http1_; }
  void learn(bool speaks_h2) noexcept { only_http1_ = !speaks_h2; }

  // A dial to wait for; null: none, or enough are waiting for each.
  Dial* dial(std::string_view key, uint32_t generation);
  void wait(Dial& dial, Waiter& waiter);
  std::unique_ptr<Dial> begin_dial(std::string_view key, uint32_t generation);
  // Tells the waiters.
  void end_dial(std::unique_ptr<Dial> dial, const Error* error);

  size_t size() const noexcept { return size_; }

 private:
  friend class H2Connection;
  void drop(H2Connection& connection);

  IoContext* io_;
  List<H2Connection> connections_;
  List<Dial> dials_;
  size_t size_ = 0;
  bool only_http1_ = false;
};

}  // namespace sallyport
