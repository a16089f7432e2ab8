// The keys that seal TLS session tickets. One object for the whole process, shared by every server context: a client
// resumes on any worker, and after a reload. Random at a start, never written anywhere. Any thread; a handshake copies
// one key under a short lock.
#pragma once
#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

namespace sallyport {

// How long a ticket is good, and how often keys should be rotated: with a current and a previous key a ticket then
// always lives out its time.
inline constexpr std::chrono::hours kTicketLifetime{12};

class TicketKeys {
 public:
  TicketKeys();
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // A new current key; the current one becomes the previous one, and the previous one is forgotten. The control thread
  // calls it every kTicketLifetime.
  void rotate();

  struct Key {
    std::array<uint8_t, 16> name{};
    std::array<uint8_t, 32> cipher{};  // AES-256-CBC
    std::array<uint8_t, 32> mac{};     // HMAC-SHA-256
  };
  Key current() const;
  enum class Found : uint8_t { none, current, previous };
  Found find(const uint8_t name[16], Key& out) const;

 private:
  mutable std::mutex mutex_;
  Key current_;
  Key previous_;
};

// Seals and opens the tickets of a server context, which keeps the keys alive. False: out of memory.
bool use_ticket_keys(SSL_CTX* context, std::shared_ptr<const TicketKeys> keys);

}  // namespace sallyport
