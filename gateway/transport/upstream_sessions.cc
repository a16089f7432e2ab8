#include "transport/upstream_sessions.h"

#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <new>

#include "transport/tls_context.h"

namespace sallyport {
namespace {

struct SessionDeleter {
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, SessionDeleter>;

}  // namespace

struct UpstreamSessions::Slot {
  // A TLS 1.3 session is offered once (RFC 8446 appendix C.4), so a few are kept for connections that open together.
  std::array<SessionPtr, 4> newest_first;
  uint64_t used = 0;
  int holders = 1;

  static void release(Slot* slot) noexcept {
    if (slot != nullptr && --slot->holders == 0) delete slot;
  }
  void keep(SSL_SESSION* session) noexcept {
    std::rotate(newest_first.begin(), newest_first.end() - 1, newest_first.end());
    newest_first.front().reset(session);
  }
  SessionPtr take(size_t at) noexcept {
    SessionPtr session = std::move(newest_first[at]);
    std::move(newest_first.begin() + static_cast<ptrdiff_t>(at) + 1, newest_first.end(),
              newest_first.begin() + static_cast<ptrdiff_t>(at));
    return session;
  }
};

namespace {

void release_slot(void*, void* slot, CRYPTO_EX_DATA*, int, long, void*) {
  UpstreamSessions::Slot::release(static_cast<UpstreamSessions::Slot*>(slot));
}

int slot_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, release_slot);
  return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<UpstreamSessions::Slot*>(SSL_get_ex_data(ssl, slot_index()));
  if (slot == nullptr) return 0;
  slot->keep(session);
  return 1;  // the reference is the slot's now
}

std::time_t made_at(const SSL_SESSION* session) {
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
  return SSL_SESSION_get_time_ex(session);
#else
  return SSL_SESSION_get_time(session);
#endif
}

bool fresh(const SSL_SESSION* session) {
  return SSL_SESSION_is_resumable(session) == 1 &&
         made_at(session) + SSL_SESSION_get_timeout(session) > std::time(nullptr);
}

void append_part(std::string& key, std::string_view part) {
  key += part;
  key += '\0';
}

}  // namespace

UpstreamSessions::~UpstreamSessions() {
  for (auto& [key, slot] : slots_) Slot::release(slot);
}

void UpstreamSessions::attach(SSL* ssl, std::string_view endpoint) {
  X509_VERIFY_PARAM* verified = SSL_get0_param(ssl);
  std::string key;
  append_part(key, endpoint);
  if (const char* host = X509_VERIFY_PARAM_get0_host(verified, 0); host != nullptr) {
    append_part(key, host);
  } else if (char* ip = X509_VERIFY_PARAM_get1_ip_asc(verified); ip != nullptr) {
    append_part(key, ip);
    OPENSSL_free(ip);
  }
  key += upstream_identity(SSL_get_SSL_CTX(ssl));

  Slot* own = slot(std::move(key));
  if (own == nullptr || SSL_set_ex_data(ssl, slot_index(), own) != 1) return;
  ++own->holders;
  for (size_t at = 0; at < own->newest_first.size() && own->newest_first[at] != nullptr;) {
    SSL_SESSION* session = own->newest_first[at].get();
    if (!fresh(session)) {
      own->take(at);
      continue;
    }
    SSL_set_session(ssl, session);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) own->take(at);
    return;
  }
}

UpstreamSessions::Slot* UpstreamSessions::slot(std::string&& key) {
  auto found = slots_.find(key);
  if (found == slots_.end()) {
    if (slots_.size() >= max_servers_) evict_oldest();
    auto* made = new (std::nothrow) Slot;
    if (made == nullptr) return nullptr;
    found = slots_.emplace(std::move(key), made).first;
  }
  found->second->used = ++clock_;
  return found->second;
}

void UpstreamSessions::evict_oldest() {
  auto oldest = std::min_element(slots_.begin(), slots_.end(),
                                 [](const auto& a, const auto& b) { return a.second->used < b.second->used; });
  if (oldest == slots_.end()) return;
  Slot::release(oldest->second);
  slots_.erase(oldest);
}

size_t UpstreamSessions::sessions() const noexcept {
  size_t count = 0;
  for (const auto& [key, slot] : slots_)
    count += static_cast<size_t>(std::count_if(slot->newest_first.begin(), slot->newest_first.end(),
                                               [](const SessionPtr& session) { return session != nullptr; }));
  return count;
}

void use_upstream_sessions(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
}

}  // namespace sallyport
