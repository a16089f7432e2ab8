// TLS sessions to offer to servers again: a worker's own cache, touched by its thread only. Sessions are kept apart by
// server, by the name that was verified, and by what the context trusts, because a resumed handshake verifies nothing
// anew.
#pragma once
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sallyport {

class UpstreamSessions {
 public:
  explicit UpstreamSessions(size_t max_servers = 1024) noexcept : max_servers_(max_servers) {}
  ~UpstreamSessions();
  UpstreamSessions(const UpstreamSessions&) = delete;
  UpstreamSessions& operator=(const UpstreamSessions&) = delete;

  // Offers the newest session of this server in the coming handshake, and keeps those the server will give. Call once
  // per SSL, of a make_upstream_context() context, after set_upstream_name() and before the handshake. endpoint: the
  // server's address. An SSL may outlive the cache.
  void attach(SSL* ssl, std::string_view endpoint);
  size_t servers() const noexcept { return slots_.size(); }
  size_t sessions() const noexcept;

  struct Slot;  // of one server; counted by the cache and by the SSLs attached

 private:
  Slot* slot(std::string&& key);
  void evict_oldest();

  std::unordered_map<std::string, Slot*> slots_;
  size_t max_servers_;
  uint64_t clock_ = 0;
};

// Makes a client context hand its sessions to the cache of each SSL.
void use_upstream_sessions(SSL_CTX* context);

}  // namespace sallyport
