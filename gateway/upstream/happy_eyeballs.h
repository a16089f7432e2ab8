// Two attempts at one server, which has an address of either family: the second begins when the first has failed, or
// has not got anywhere for a moment; whichever connects first is taken (RFC 8305, for one address each).
#pragma once
#include <array>
#include <chrono>
#include <optional>

#include "base/address.h"
#include "net/loop.h"
#include "transport/transport.h"

namespace sallyport {

// Owned by whoever connects, on the loop's thread. Destroying it cancels. It has no end of its own: that is its owner's
// connect timeout.
class HappyEyeballs final : public IoHandler, private Deadline::Owner {
 public:
  static constexpr std::chrono::milliseconds kHeadStart{250};  // RFC 8305 section 5

  class Owner {
   public:
    // Once, unless start() gave the outcome. A transport that is connected, without a handler. May destroy the caller.
    virtual void on_raced(Result<TransportPtr> winner) = 0;

   protected:
    ~Owner() = default;
  };

  HappyEyeballs(IoContext& io, Owner& owner) noexcept : io_(io), owner_(owner), deadline_(*this) {}
  HappyEyeballs(const HappyEyeballs&) = delete;
  HappyEyeballs& operator=(const HappyEyeballs&) = delete;

  // The outcome, if it is known at once. source: to connect from (connect_to()); must outlive this.
  std::optional<Result<TransportPtr>> start(const Address& first, const Address& second,
                                            const Address* source = nullptr);
  const Address& first() const noexcept { return attempts_[0].address; }
  // The first was no use, or slower.
  bool second_won() const noexcept { return winner_ == 1; }

 private:
  struct Attempt {
    Address address;
    TransportPtr transport;
  };
  void on_io() override;
  void on_deadline(Deadline& which) override;
  // The outcome, as far as it is known.
  std::optional<Result<TransportPtr>> look();
  void begin(Attempt& attempt);
  std::optional<Result<TransportPtr>> begin_second();

  IoContext& io_;
  Owner& owner_;
  Deadline deadline_;
  std::array<Attempt, 2> attempts_;
  const Address* source_ = nullptr;
  bool second_began_ = false;
  int winner_ = -1;
  Error error_;  // of the attempt that failed last
};

}  // namespace sallyport
