#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace bench {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSsl>;
using SslSession = std::unique_ptr<SSL_SESSION, FreeSsl>;

/// A blocking socket, with TLS or without, owned by one thread. Every call returns false when the other side is gone or
/// silent.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// To 127.0.0.1; false from the calls that follow if it fails.
  static int dial(uint16_t port);

  bool start_client_tls(SSL_CTX* context, const std::string& host, SSL_SESSION* session);
  bool start_server_tls(SSL_CTX* context);
  bool resumed() const { return ssl_ && SSL_session_reused(ssl_.get()); }
  void close_tls() {
    if (ssl_) SSL_shutdown(ssl_.get());
  }

  bool write(std::string_view bytes);
  /// At least one byte, appended to `into`.
  bool read_some(std::string& into);
  /// Up to and with the empty line; what comes after it stays in `buffered`.
  bool read_head(std::string& head, std::string& buffered);
  /// Until `buffered` has `size` bytes.
  bool read_at_least(std::string& buffered, size_t size);
  /// Sends an HTTP/1.1 request; the bytes of its answer, or 0 if that is not 200 with this very body. `buffered` is
  /// only to be used again.
  size_t fetch(std::string_view request, const std::string& body, std::string& buffered);

 private:
  int fd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

/// The number after this field's name in a head, 0 if there is none. `name` in lower case, with the colon.
size_t number_field(const std::string& head, std::string_view name);
/// The text after this field's name, without blanks around it.
std::string text_field(const std::string& head, std::string_view name);

}  // namespace bench
