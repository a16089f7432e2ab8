#include "tls.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "relay.h"

namespace bench_floor {
namespace {

constexpr size_t kRecord = 17 * 1024;  // the longest, of which all but its end may have come before

// Of the one thread: sessions hold only what a socket did not take.
std::array<char, Tls::kMost + kRecord> decrypted;
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

/// A connection that failed leaves nothing for the next one: neither its errors nor its alert.
bool forget() {
  ERR_clear_error();
  encrypted.clear();
  return false;
}

/// One for all: it holds nothing of any connection.
BIO* the_bio() {
  static BIO* const bio = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    BIO_meth_set_create(made, bio_create);
    return BIO_new(made);
  }();
  BIO_up_ref(bio);
  return bio;
}

}  // namespace

SSL_CTX* tls_context(const char* chain, const char* key, bool release) {
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
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | (release ? SSL_MODE_RELEASE_BUFFERS : 0));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  encrypted.reserve(2 * Tls::kMost);
  return context;
}

Tls::Tls(SSL_CTX* context) : ssl_(SSL_new(context)) {
  BIO* bio = the_bio();
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

bool Tls::decrypt(std::string_view bytes, std::string_view& text, bool& closed) {
  incoming = bytes;
  size_t size = 0;
  bool end = false;
  // Not once more when all was read: that is a call for nothing.
  while (!end && (!incoming.empty() || SSL_pending(ssl_) > 0)) {
    int got = SSL_read(ssl_, decrypted.data() + size, static_cast<int>(decrypted.size() - size));
    if (got > 0) {
      size += static_cast<size_t>(got);
      continue;
    }
    int why = SSL_get_error(ssl_, got);
    end = (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (why != SSL_ERROR_SSL && (end || why == SSL_ERROR_WANT_READ)) continue;
    return forget();
  }
  closed = closed || end;
  text = {decrypted.data(), size};
  return true;
}

bool Tls::encrypt(std::string_view text) {
  if (SSL_write(ssl_, text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size())) return true;
  return forget();
}

bool Tls::flush(int client, bool last) {
  bool good = send_or_keep(client, encrypted.data(), encrypted.size(), last, rest_);
  encrypted.clear();
  return good;
}

}  // namespace bench_floor
