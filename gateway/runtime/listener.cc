#include "runtime/listener.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "net/socket.h"
#include "runtime/worker.h"

namespace sallyport {
namespace {

constexpr int kBatch = 32;
constexpr std::chrono::milliseconds kPause{64};

UniqueFd open_reserve() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Listener::Listener(Worker& owner, UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share, std::string address)
    : owner_(owner),
      fd_(std::move(fd)),
      reserve_(open_reserve()),
      share_(std::move(share)),
      address_(std::move(address)),
      deadline_(*this),
      shared_(shared) {
  watch_.handler = this;
}

Listener::~Listener() = default;

Status Listener::start() {
  // Accepted sockets have what their listener has (tcp(7)). No effect on a unix socket.
  set_no_delay(fd_.get());
  return owner_.loop().poller().add_level(fd_.get(), watch_, shared_);
}

// Finding out that nobody waits costs a call, so a listener that was not busy a moment ago takes one client: who is left
// makes the next wait return at once.
void Listener::on_io() {
  const uint64_t turn = owner_.loop().turns();
  batch_ = turn == busy_turn_ + 1 ? std::min(batch_ * 2, kBatch) : 1;
  busy_turn_ = turn;
  for (int i = 0; i < batch_; ++i)
    if (!accept_one()) {
      busy_turn_ = 0;
      return;
    }
}

bool Listener::accept_one() {
  if (closed_ || paused_) return false;
  if (!reserve_place()) {
    if (!full_) reject(Rejection::max_connections);
    full_ = true;
    pause();
    return false;
  }
  auto accepted = accept_from(fd_.get());
  if (!accepted) {
    release_place();
    int sys = accepted.error().sys;
    if (sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM) {
      reject(Rejection::no_descriptors);
      use_reserve();
      pause();
      return false;
    }
    // The client was gone before it could be accepted; others may wait.
    return sys == ECONNABORTED || sys == EINTR || sys == EPROTO;
  }
  full_ = false;
  if (!owner_.accepted(std::move(accepted->fd), accepted->peer, *share_)) release_place();
  return true;
}

// Counted before the accept: workers that looked first and counted later would let in one too many each.
bool Listener::reserve_place() {
  GatewayLimits& limits = owner_.limits();
  if (limits.connections.fetch_add(1, std::memory_order_relaxed) >= limits.max_connections) {
    limits.connections.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  uint32_t here = share_->connections.fetch_add(1, std::memory_order_relaxed);
  const uint32_t most = share_->max_connections.load(std::memory_order_relaxed);
  if (most == 0 || here < most) return true;
  release_place();
  return false;
}

void Listener::release_place() {
  owner_.limits().connections.fetch_sub(1, std::memory_order_relaxed);
  share_->connections.fetch_sub(1, std::memory_order_relaxed);
}

void Listener::reject(Rejection reason) {
  WorkerContext& worker = owner_.context();
  worker.counters.reject(reason);
  const ListenerRules* rules = owner_.view() == nullptr ? nullptr : owner_.view()->rules(share_->name);
  if (rules != nullptr) rules->stats->of(worker.number).rejected[static_cast<size_t>(reason)].add();
}

// A client left in the queue would wake every turn and learn nothing: it is accepted and closed.
void Listener::use_reserve() {
  reserve_.reset();
  (void)accept_from(fd_.get());
  reserve_ = open_reserve();
}

void Listener::pause() {
  paused_ = true;
  owner_.loop().poller().remove(fd_.get());
  owner_.loop().arm(deadline_, kPause);
}

void Listener::on_deadline(Deadline&) {
  if (closed_) return;
  paused_ = false;
  if (start()) on_io();
}

void Listener::close_after_accepting() {
  if (closed_) return;
  if (!shared_ && !paused_)
    for (int i = 0; i < 1024 && accept_one(); ++i) {}
  closed_ = true;
  watch_.handler = nullptr;
  if (!paused_) owner_.loop().poller().remove(fd_.get());
  fd_.reset();
}

}  // namespace sallyport
