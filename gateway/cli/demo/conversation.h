// What the sample servers say: bytes in, bytes out, no sockets.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "cli/demo/websocket_echo.h"
#include "http/h1_reader.h"

namespace sallyport::demo {

// One connection's talk, from the server's side.
class Conversation {
 public:
  virtual ~Conversation() = default;
  // What is said before the client has said anything.
  virtual void begin(std::string&) {}
  // Appends to out what goes back. False: send it, then close.
  virtual bool feed(Bytes input, std::string& out) = 0;
};

// HTTP/1.1 that answers each request with the request as it arrived; /ws becomes a WebSocket echo.
class HttpConversation final : public Conversation {
 public:
  // introduction: the first line of each answer.
  explicit HttpConversation(std::string introduction) : introduction_(std::move(introduction)) {}
  bool feed(Bytes input, std::string& out) override;

 private:
  bool answer(std::string& out);
  void respond(std::string& out, int status, const std::string& body) const;
  std::string received() const;

  std::string introduction_;
  http::H1RequestReader reader_;
  http::RequestHead request_;
  http::HeaderList trailers_;
  std::string input_;
  uint64_t body_size_ = 0;
  std::optional<WebSocketEcho> websocket_;
};

// Greets as an SSH server does, and takes leave after the client's greeting (RFC 4253 sections 4.2 and 11.1).
class SshConversation final : public Conversation {
 public:
  void begin(std::string& out) override;
  bool feed(Bytes input, std::string& out) override;

 private:
  size_t seen_ = 0;
};

// Wants a PROXY header first, tells the client what it said, then echoes.
class TcpConversation final : public Conversation {
 public:
  bool feed(Bytes input, std::string& out) override;

 private:
  std::string input_;
  bool greeted_ = false;
};

}  // namespace sallyport::demo
