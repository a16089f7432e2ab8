// The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. Pure text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport {

class ScramClient {
 public:
  // More would let a server keep the control thread busy; PostgreSQL's own is 4096.
  static constexpr uint32_t kMostIterations = 200'000;

  // nonce: printable ASCII without comma, never the same twice.
  ScramClient(std::string user, std::string password, std::string nonce);

  std::string first() const { return "n,," + first_bare_; }
  // The answer to the server's first message; empty: that was wrong, why() tells.
  std::string final(std::string_view server_first);
  // Whether the server's last message proves that it knows the password too; if not, why() tells.
  bool verify(std::string_view server_final);
  const char* why() const noexcept { return why_; }

 private:
  std::string password_;
  std::string nonce_;
  std::string first_bare_;
  std::string server_signature_;
  const char* why_ = "";
};

}  // namespace sallyport
