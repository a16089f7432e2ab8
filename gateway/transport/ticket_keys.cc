#include "transport/ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace sallyport {
namespace {

using SharedKeys = std::shared_ptr<const TicketKeys>;

void fill_randomly(TicketKeys::Key& key) {
  // Without randomness there is no TLS at all, and a predictable ticket key would give away every session.
  if (RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
      RAND_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) != 1 ||
      RAND_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1)
    std::abort();
}

void free_keys(void*, void* keys, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<SharedKeys*>(keys); }

int keys_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_keys);
  return index;
}

// A local copy of a key, gone when the handshake has set up its cipher.
struct ScopedKey {
  TicketKeys::Key key;
  ~ScopedKey() { OPENSSL_cleanse(&key, sizeof key); }
};

bool set_mac(EVP_MAC_CTX* mac, TicketKeys::Key& key) {
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
                         OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

const EVP_CIPHER* ticket_cipher() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 aborts the handshake, 0 goes on without a ticket, 1 is done, 2 opens the
// ticket and gives the client a new one.
int seal_or_open(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int seal) {
  auto* keys = static_cast<SharedKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keys_index()));
  if (keys == nullptr || *keys == nullptr || ticket_cipher() == nullptr) return 0;
  ScopedKey scoped;
  if (seal == 1) {
    scoped.key = (*keys)->current();
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) != 1) return -1;
    std::memcpy(name, scoped.key.name.data(), scoped.key.name.size());
    bool ready = EVP_EncryptInit_ex(cipher, ticket_cipher(), nullptr, scoped.key.cipher.data(), iv) == 1 &&
                 set_mac(mac, scoped.key);
    return ready ? 1 : -1;
  }
  TicketKeys::Found found = (*keys)->find(name, scoped.key);
  if (found == TicketKeys::Found::none) return 0;
  bool ready = set_mac(mac, scoped.key) &&
               EVP_DecryptInit_ex(cipher, ticket_cipher(), nullptr, scoped.key.cipher.data(), iv) == 1;
  if (!ready) return -1;
  // A TLS 1.3 client offers a ticket once (RFC 8446 appendix C.4), so it needs a new one each time.
  return found == TicketKeys::Found::current && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

}  // namespace

TicketKeys::TicketKeys() {
  fill_randomly(current_);
  fill_randomly(previous_);  // a key that no ticket was ever sealed with
}

TicketKeys::~TicketKeys() {
  OPENSSL_cleanse(&current_, sizeof current_);
  OPENSSL_cleanse(&previous_, sizeof previous_);
}

void TicketKeys::rotate() {
  ScopedKey next;
  fill_randomly(next.key);
  std::lock_guard lock(mutex_);
  previous_ = current_;
  current_ = next.key;
}

TicketKeys::Key TicketKeys::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

TicketKeys::Found TicketKeys::find(const uint8_t name[16], Key& out) const {
  std::lock_guard lock(mutex_);
  if (std::memcmp(name, current_.name.data(), current_.name.size()) == 0) {
    out = current_;
    return Found::current;
  }
  if (std::memcmp(name, previous_.name.data(), previous_.name.size()) == 0) {
    out = previous_;
    return Found::previous;
  }
  return Found::none;
}

bool use_ticket_keys(SSL_CTX* context, std::shared_ptr<const TicketKeys> keys) {
  auto* held = new (std::nothrow) SharedKeys(std::move(keys));
  if (held == nullptr || SSL_CTX_set_ex_data(context, keys_index(), held) != 1) {
    delete held;
    return false;
  }
  SSL_CTX_set_timeout(context, std::chrono::seconds(kTicketLifetime).count());
  return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_or_open) == 1;
}

}  // namespace sallyport
