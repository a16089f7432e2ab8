#include "tls.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace bench_floor {
namespace {

constexpr size_t kRead = 64 * 1024;
constexpr size_t kRecord = 17 * 1024;  // the longest, of which all but its end may have come before

// Of the one thread: sessions hold only what a socket did not take.
std::array<char, kRead> received;
std::array<char, kRead + kRecord> decrypted;
std::string encrypted;

// The ends that OpenSSL reads from and writes to: what was just received, and what is about to be sent.
std::string_view incoming;

int bio_read(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  if (incoming.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t taken = std::min(static_cast<size_t>(size), incoming.size());
  std::memcpy(into, incoming.data(), taken);
  incoming.remove_prefix(taken);
  return static_cast<int>(taken);
}

int bio_write(BIO*, const char* bytes, int size) {
  encrypted.append(bytes, static_cast<size_t>(size));
  return size;
}

long bio_control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO* new_bio() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    BIO_meth_set_create(made, bio_create);
    return made;
  }();
  return BIO_new(method);
}

/// The TLS connection and what its client does not take yet; shared by both directions.
class Tls {
 public:
  explicit Tls(SSL_CTX* context) : ssl_(SSL_new(context)) {
    BIO* bio = new_bio();
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_accept_state(ssl_);
  }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls() { SSL_free(ssl_); }

  bool established() const { return SSL_is_init_finished(ssl_); }
  bool waiting() const { return !rest_.empty(); }

  /// All of `bytes` goes in; the plain text is in `decrypted`. `closed` once the client said so. Negative if it is no
  /// TLS.
  ssize_t decrypt(std::string_view bytes, bool& closed) {
    incoming = bytes;
    size_t size = 0;
    for (int got; (got = SSL_read(ssl_, decrypted.data() + size, static_cast<int>(decrypted.size() - size))) > 0;)
      size += static_cast<size_t>(got);
    int why = SSL_get_error(ssl_, -1);
    closed = closed || (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (why != SSL_ERROR_SSL && (closed || why == SSL_ERROR_WANT_READ)) return static_cast<ssize_t>(size);
    ERR_clear_error();
    return -1;
  }

  bool encrypt(std::string_view bytes) {
    if (SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size())) return true;
    ERR_clear_error();
    return false;
  }

  void say_end() { SSL_shutdown(ssl_); }

  /// What was encrypted by either direction, and what is left from before.
  bool flush(int client, bool last) {
    bool good = send_or_keep(client, encrypted.data(), encrypted.size(), last, rest_);
    encrypted.clear();
    return good;
  }

 private:
  SSL* ssl_;
  std::string rest_;
};

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
      ssize_t size = tls_->decrypt({received.data(), static_cast<size_t>(got)}, ended_);
      if (size < 0 || !tls_->flush(from, false)) return Went::broken;
      // A client that leaves is no session yet; and a handshake is shorter than any send buffer: nothing would come
      // back for its rest.
      if (!tls_->established() && (ended_ || tls_->waiting())) return Went::broken;
      if (!send_or_keep(to, decrypted.data(), static_cast<size_t>(size), ended_, rest_)) return Went::broken;
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
      ssize_t got = recv(from, decrypted.data(), kRead, 0);
      if (got < 0) return errno == EAGAIN ? Went::empty : Went::broken;
      bool all = static_cast<size_t>(got) < kRead;
      ended_ = got == 0 || (fin && all);
      if (got > 0 && !tls_->encrypt({decrypted.data(), static_cast<size_t>(got)})) return Went::broken;
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

SSL_CTX* tls_context(const char* chain, const char* key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, chain) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
      SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
      SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1) {
    ERR_print_errors_fp(stderr);
    return nullptr;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  encrypted.reserve(2 * kRead);
  return context;
}

std::pair<std::unique_ptr<Carrier>, std::unique_ptr<Carrier>> make_tls(SSL_CTX* context) {
  auto tls = std::make_shared<Tls>(context);
  return {std::make_unique<Decrypt>(tls), std::make_unique<Encrypt>(tls)};
}

}  // namespace bench_floor
