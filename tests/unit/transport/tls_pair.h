// Two SSL objects, joined in memory.
#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string>
#include <string_view>

#include "transport/tls_context.h"

namespace sallyport::test {

class TlsPair {
 public:
  TlsPair(SSL_CTX* client_context, SSL_CTX* server_context)
      : client(SSL_new(client_context)), server(SSL_new(server_context)) {
    BIO* near = nullptr;
    BIO* far = nullptr;
    BIO_new_bio_pair(&near, 0, &far, 0);
    SSL_set_bio(client.get(), near, near);
    SSL_set_bio(server.get(), far, far);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
  }
  ~TlsPair() {
    // As a transport does: a session is kept only when its connection did not break.
    if (done)
      for (SSL* ssl : {client.get(), server.get()}) SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }

  // Both sides until they are done, or one failed; then one byte each way, so that tickets arrive and alerts show.
  bool handshake() {
    for (int turn = 0; turn < 20 && !done && !failed(); ++turn) {
      step(client.get(), client_error, client_reason);
      step(server.get(), server_error, server_reason);
      done = SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(server.get()) == 1;
    }
    if (failed()) {
      done = false;
      read(client.get(), client_error, client_reason);
      read(server.get(), server_error, server_reason);
      return false;
    }
    char byte = 'x';
    SSL_write(server.get(), &byte, 1);
    read(client.get(), client_error, client_reason);
    SSL_write(client.get(), &byte, 1);
    read(server.get(), server_error, server_reason);
    done = done && !failed();
    return done;
  }
  bool failed() const { return !client_error.empty() || !server_error.empty(); }

  bool resumed() const { return SSL_session_reused(client.get()) == 1 && SSL_session_reused(server.get()) == 1; }
  int version() const { return SSL_version(client.get()); }
  std::string alpn() const {
    const unsigned char* data = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.get(), &data, &size);
    return {reinterpret_cast<const char*>(data), size};
  }
  // What the client was shown.
  int server_key_type() const {
    return EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(client.get())));
  }

  SslPtr client, server;
  std::string client_error, server_error;  // "" or the line a log would get
  std::string client_reason, server_reason;
  bool done = false;

 private:
  static void note(SSL* ssl, int result, std::string& error, std::string& reason) {
    int code = SSL_get_error(ssl, result);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE || code == SSL_ERROR_ZERO_RETURN) return;
    if (!error.empty()) return;
    reason = tls_failure_reason(ssl);
    error = tls_error_text(ssl);
    if (error.empty()) error = "failed without a word";
  }
  static void step(SSL* ssl, std::string& error, std::string& reason) {
    if (!error.empty()) return;
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    if (result != 1) note(ssl, result, error, reason);
  }
  static void read(SSL* ssl, std::string& error, std::string& reason) {
    char byte;
    ERR_clear_error();
    int result = SSL_read(ssl, &byte, 1);
    if (result != 1) note(ssl, result, error, reason);
  }
};

}  // namespace sallyport::test
