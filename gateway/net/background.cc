#include "net/background.h"

#include <pthread.h>

#include <csignal>
#include <utility>

#include "base/block_cache.h"
#include "net/loop.h"

namespace sallyport {

Background::~Background() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    pieces_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Background::run(std::function<void()> work, std::function<void()> done) {
  {
    std::lock_guard lock(mutex_);
    pieces_.push_back({std::move(work), std::move(done)});
  }
  if (!thread_.joinable()) {
    // Signals are the control thread's.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "background");
      serve();
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  wake_.notify_one();
}

void Background::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !pieces_.empty(); });
    if (stopping_) return;
    Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    lock.unlock();
    piece.work();
    piece.work = {};
    forget_blocks();
    if (piece.done) loop_.post(std::move(piece.done));
    lock.lock();
  }
}

}  // namespace sallyport
