// A worker's end of a listening socket: accepts in small batches, and pauses when there is no room.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "metrics/counters.h"
#include "net/loop.h"
#include "runtime/client_variety.h"

namespace sallyport {

class Worker;

// What all workers' ends of one listener share.
struct ListenerShare {
  std::string name;
  std::atomic<uint32_t> max_connections{0};  // 0: no limit of its own
  std::atomic<uint32_t> connections{0};
  ClientVariety clients;
};

class Listener final : public IoHandler, public Doomed, private Deadline::Owner {
 public:
  // shared: other workers wait on the same descriptor's socket (handed over by systemd, or a unix socket).
  Listener(Worker& owner, UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share, std::string address);
  ~Listener() override;

  Status start();
  const std::string& name() const noexcept { return share_->name; }
  const std::string& address() const noexcept { return address_; }
  bool belongs_to(const ListenerShare& share) const noexcept { return share_.get() == &share; }
  // From the next client on.
  void move_to(std::shared_ptr<ListenerShare> share) noexcept { share_ = std::move(share); }
  // Takes what is waiting, then closes: nobody who got through to the socket is lost.
  void close_after_accepting();

 private:
  void on_io() override;
  void on_deadline(Deadline& which) override;
  // False: nobody waits, or there is no room.
  bool accept_one();
  // A place among the connections of the gateway and of the listener. The session gives it back when it ends.
  bool reserve_place();
  void release_place();
  void reject(Rejection reason);
  void pause();
  void use_reserve();

  Worker& owner_;
  UniqueFd fd_;
  UniqueFd reserve_;  // given up for a moment when descriptors run out, so that a waiting client can be turned away
  Watch watch_;
  std::shared_ptr<ListenerShare> share_;
  std::string address_;
  Deadline deadline_;
  int batch_ = 1;           // clients to be taken at once
  uint64_t busy_turn_ = 0;  // of the loop, in which somebody waited last
  bool shared_;
  bool paused_ = false;
  bool full_ = false;  // as of the last look
  bool closed_ = false;
};

}  // namespace sallyport
