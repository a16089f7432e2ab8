// A worker's idle connections to one server, newest first. One that the server closes, or sends anything on, is dropped
// at once; the others when they have been idle for too long.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/list.h"
#include "metrics/counter.h"
#include "net/loop.h"
#include "transport/transport.h"
#include "upstream/server_queue.h"

namespace sallyport {

class Pool {
 public:
  static constexpr std::chrono::milliseconds kIdle{30'000};
  static constexpr size_t kMost = 512;  // not below the soft limit of Gate: what comes free together is kept

  // holder: counts those that hold a slot; may be null.
  explicit Pool(Loop& loop, IdleHolder* holder = nullptr) noexcept;
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // key: whatever must be equal for a connection to be used again (the TLS name it was verified for). generation: the
  // endpoint's, so that a server that moved is not found by its old connections. look: asks the kernel whether the
  // server has closed it meanwhile, which costs a system call. Null if there is none. slot: gets the connection's.
  TransportPtr take(std::string_view key, uint32_t generation, bool look, ServerSlot* slot = nullptr);
  void give(TransportPtr transport, std::string_view key, uint32_t generation, ServerSlot slot = {});
  // The connection that was idle for longest. False: there is none.
  bool drop_oldest();
  size_t size() const noexcept { return size_; }
  // A gauge of how many it holds; must outlive it. Before the first give().
  void count_in(Counter& gauge) noexcept { gauge_ = &gauge; }

 private:
  struct Idle;
  static constexpr size_t kSpare = 64;

  TransportPtr leave(Idle& idle, ServerSlot& slot);
  void drop(Idle& idle);

  Loop* loop_;
  IdleHolder* holder_;
  List<Idle> idle_;
  std::vector<std::unique_ptr<Idle>> spare_;  // to be used again: a warm pool allocates nothing
  size_t size_ = 0;
  Counter* gauge_ = nullptr;
};

}  // namespace sallyport
