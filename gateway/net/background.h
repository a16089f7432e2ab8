// Work that takes a while, off a loop's thread: one thread, one piece of work after the other. One thread also means one
// arena of the allocator, where large things come and go without leaving holes in others.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace sallyport {

class Loop;

class Background {
 public:
  // The loop must outlive this.
  explicit Background(Loop& loop) : loop_(loop) {}
  // Waits for the work that has begun; the rest is dropped.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // work on this one's thread, which is made with the first; then done, if it is not empty, on the loop's. What either
  // touches must outlive this, or be theirs.
  void run(std::function<void()> work, std::function<void()> done = {});

 private:
  struct Piece {
    std::function<void()> work;
    std::function<void()> done;
  };
  void serve();

  Loop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Piece> pieces_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sallyport
