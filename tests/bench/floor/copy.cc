#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "relay.h"

namespace bench_floor {
namespace {

std::array<char, 256 * 1024> buffer;  // of the one thread

class Copy : public Carrier {
 public:
  Went carry(int from, int to, bool fin) override {
    if (!rest_.empty() && !send_rest(to, ended_, rest_)) return Went::broken;
    for (;;) {
      if (!rest_.empty()) return Went::full;
      if (ended_) return Went::ended;
      ssize_t got = recv(from, buffer.data(), buffer.size(), 0);
      if (got < 0) return errno == EAGAIN ? Went::empty : Went::broken;
      auto size = static_cast<size_t>(got);
      bool all = size < buffer.size();
      ended_ = got == 0 || (fin && all);
      if (!send_or_keep(to, buffer.data(), size, ended_, rest_)) return Went::broken;
      // Edge-triggered: what came after a short read is told of.
      if (all && !ended_ && rest_.empty()) return Went::empty;
    }
  }

 private:
  std::string rest_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Carrier> make_copy() { return std::make_unique<Copy>(); }

}  // namespace bench_floor
