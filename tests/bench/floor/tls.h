#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>

namespace bench_floor {

/// A server's context, with the cipher and the groups of the measurements. `release`: OpenSSL gives its buffers back
/// after each use, which takes time and leaves an idle connection small.
SSL_CTX* tls_context(const char* chain, const char* key, bool release);

/// One client's TLS. It holds what that client does not take yet; all other bytes are in the thread's buffers, so that
/// what one call left there is to be used before another connection's call.
class Tls {
 public:
  static constexpr size_t kMost = 256 * 1024;  // that decrypt() takes at once

  explicit Tls(SSL_CTX* context);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls() { SSL_free(ssl_); }

  bool established() const { return SSL_is_init_finished(ssl_); }
  /// Bytes are left that the client did not take.
  bool waiting() const { return !rest_.empty(); }

  /// All of `bytes` goes in, and `text` is what came out. `closed` is set once the client said so. False if it is no
  /// TLS.
  bool decrypt(std::string_view bytes, std::string_view& text, bool& closed);
  bool encrypt(std::string_view text);
  void say_end() { SSL_shutdown(ssl_); }
  /// Sends what any call encrypted, behind what is left from before. False when the socket is broken.
  bool flush(int client, bool last);

 private:
  SSL* ssl_;
  std::string rest_;
};

}  // namespace bench_floor
