#include "net/pipe.h"

#include <fcntl.h>
#include <unistd.h>

namespace sallyport {

std::unique_ptr<Pipe> PipePool::take() {
  if (!free_.empty()) {
    auto pipe = std::move(free_.back());
    free_.pop_back();
    ++lent_;
    return pipe;
  }
  if (lent_ >= most_) return nullptr;
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>();
  pipe->read_end = UniqueFd(ends[0]);
  pipe->write_end = UniqueFd(ends[1]);
  int size = fcntl(ends[1], F_SETPIPE_SZ, 256 * 1024);
  if (size <= 0) size = fcntl(ends[1], F_GETPIPE_SZ);
  if (size <= 0) return nullptr;
  pipe->capacity = static_cast<size_t>(size);
  ++lent_;
  return pipe;
}

void PipePool::give(std::unique_ptr<Pipe> pipe) {
  --lent_;
  if (pipe->held == 0 && free_.size() < 16) free_.push_back(std::move(pipe));
}

}  // namespace sallyport
