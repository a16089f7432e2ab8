// Kernel pipes for splice(2), lent by a pool of bounded size: an ordinary user may hold 64 MiB of pipe buffers in all
// (/proc/sys/fs/pipe-user-pages-soft). Single-threaded: one pool a worker.
#pragma once
#include <memory>
#include <vector>

#include "base/unique_fd.h"

namespace sallyport {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  size_t held = 0;      // bytes in it
  size_t capacity = 0;  // bytes it can hold
};

class PipePool {
 public:
  explicit PipePool(size_t most) noexcept : most_(most) {}
  // Null when the bound is reached or the kernel refuses: the caller copies instead.
  std::unique_ptr<Pipe> take();
  // A pipe that still holds bytes is closed.
  void give(std::unique_ptr<Pipe> pipe);

 private:
  std::vector<std::unique_ptr<Pipe>> free_;
  size_t lent_ = 0;
  size_t most_;
};

}  // namespace sallyport
