#include "crypt.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "tls.h"

namespace bench_floor {
namespace {

std::array<char, Tls::kMost> received;  // by the one thread, from either side

class Decrypt : public Carrier {
 public:
  explicit Decrypt(std::shared_ptr<Tls> tls) : tls_(std::move(tls)) {}

  Went carry(int from, int to, bool fin) override {
    if (!rest_.empty() && !send_rest(to, ended_, rest_)) return Went::broken;
    for (;;) {
      if (!rest_.empty()) return Went::full;
      if (ended_) return Went::ended;
      ssize_t got = recv(from, received.data(), received.size(), 0);
      if (got < 0) return errno == EAGAIN ? Went::empty : Went::broken;
      bool all = static_cast<size_t>(got) < received.size();
      ended_ = got == 0 || (fin && all);
      std::string_view text;
      if (!tls_->decrypt({received.data(), static_cast<size_t>(got)}, text, ended_)) return Went::broken;
      if (!tls_->flush(from, false)) return Went::broken;
      // A client that leaves is no session yet; and a handshake is shorter than any send buffer: nothing would come
      // back for its rest.
      if (!tls_->established() && (ended_ || tls_->waiting())) return Went::broken;
      if (!send_or_keep(to, text.data(), text.size(), ended_, rest_)) return Went::broken;
      if (all && !ended_ && rest_.empty()) return Went::empty;
    }
  }

 private:
  std::shared_ptr<Tls> tls_;
  std::string rest_;
  bool ended_ = false;
};

class Encrypt : public Carrier {
 public:
  explicit Encrypt(std::shared_ptr<Tls> tls) : tls_(std::move(tls)) {}

  Went carry(int from, int to, bool fin) override {
    if (tls_->waiting() && !tls_->flush(to, ended_)) return Went::broken;
    for (;;) {
      // A server that speaks first is heard after the handshake: an event of the client's comes back here.
      if (tls_->waiting() || !tls_->established()) return Went::full;
      if (ended_) return Went::ended;
      ssize_t got = recv(from, received.data(), received.size(), 0);
      if (got < 0) return errno == EAGAIN ? Went::empty : Went::broken;
      bool all = static_cast<size_t>(got) < received.size();
      ended_ = got == 0 || (fin && all);
      if (got > 0 && !tls_->encrypt({received.data(), static_cast<size_t>(got)})) return Went::broken;
      if (ended_) tls_->say_end();
      if (!tls_->flush(to, ended_)) return Went::broken;
      if (all && !ended_ && !tls_->waiting()) return Went::empty;
    }
  }

 private:
  std::shared_ptr<Tls> tls_;
  bool ended_ = false;
};

}  // namespace

std::pair<std::unique_ptr<Carrier>, std::unique_ptr<Carrier>> make_tls(SSL_CTX* context) {
  auto tls = std::make_shared<Tls>(context);
  return {std::make_unique<Decrypt>(tls), std::make_unique<Encrypt>(tls)};
}

}  // namespace bench_floor
