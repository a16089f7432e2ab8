#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "relay.h"

namespace bench_floor {
namespace {

constexpr int kPipe = 256 * 1024;
constexpr size_t kMost = 1024 * 1024;

struct Pipe {
  int out = -1;
  int in = -1;
};
std::vector<Pipe> idle;  // empty ones

Pipe take_pipe() {
  if (!idle.empty()) {
    Pipe pipe = idle.back();
    idle.pop_back();
    return pipe;
  }
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) give_up("pipe2");
  fcntl(ends[0], F_SETPIPE_SZ, kPipe);  // as large as it is, where that is not allowed
  return {ends[0], ends[1]};
}

class Splice : public Carrier {
 public:
  ~Splice() override {
    if (pipe_.in < 0) return;
    if (held_ == 0) {
      idle.push_back(pipe_);
    } else {
      close(pipe_.in);
      close(pipe_.out);
    }
  }

  Went carry(int from, int to, bool) override {
    if (pipe_.in < 0) pipe_ = take_pipe();
    for (;;) {
      while (held_ > 0) {
        ssize_t sent = splice(pipe_.out, nullptr, to, nullptr, held_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent <= 0) return sent < 0 && errno == EAGAIN ? Went::full : Went::broken;
        held_ -= static_cast<size_t>(sent);
      }
      if (ended_) return Went::ended;
      // Into an empty pipe, so EAGAIN is the socket's.
      ssize_t got = splice(from, nullptr, pipe_.in, nullptr, kMost, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (got < 0) return errno == EAGAIN ? Went::empty : Went::broken;
      ended_ = got == 0;
      held_ = static_cast<size_t>(got);
    }
  }

 private:
  Pipe pipe_;
  size_t held_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Carrier> make_splice() { return std::make_unique<Splice>(); }

}  // namespace bench_floor
