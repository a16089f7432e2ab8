// An Exchange's server side over HTTP/1.1: writes the request, reads the response. One request at a time; the
// connection outlives it when both ends agree.
#pragma once
#include <string>

#include "http/h1_reader.h"
#include "http/message.h"
#include "upstream/connector.h"

namespace sallyport {

class H1Leg final : public IoHandler {
 public:
  // What the leg tells its exchange. Only leg_ended and leg_failed may end the leg; each comes at most once, last.
  class Owner {
   public:
    virtual void leg_event() = 0;             // the socket has something: pump, when it suits
    virtual void leg_head(bool interim) = 0;  // the response head is complete
    virtual void leg_body(Bytes piece) = 0;
    virtual void leg_ended() = 0;                     // the response is complete; trailers too
    virtual void leg_upgraded(Bytes rest) = 0;        // 101: the bytes behind it belong to the new protocol
    virtual void leg_failed(const Error& error) = 0;  // detail and retry tell how; the connection is of no more use
    virtual bool leg_may_read() const = 0;            // the client keeps up

   protected:
    ~Owner() = default;
  };

  explicit H1Leg(Owner& owner) noexcept : owner_(owner) {}

  void attach(ServerConnection connection, http::ResponseHead& response, http::HeaderList& trailers);
  bool attached() const noexcept { return connection_.transport != nullptr; }
  void send_head(const http::RequestHead& request, bool upgrade, std::string& scratch);
  void send_body(Bytes piece, std::string& scratch);
  void send_end(const http::HeaderList& trailers, std::string& scratch);
  bool congested() const noexcept { return connection_.transport->congested(); }
  // Sends what is pending, reads what is there. May end the leg through the owner. False: the budget is spent, come
  // again.
  bool pump();
  // True once the response is complete and the server keeps the connection.
  bool reusable() const noexcept { return reusable_; }
  bool got_bytes() const noexcept { return got_bytes_; }
  const ServerConnection& connection() const noexcept { return connection_; }
  ServerConnection detach() noexcept;
  void close() noexcept { connection_ = ServerConnection(); }

 private:
  void on_io() override { owner_.leg_event(); }
  // False: the leg has ended.
  bool feed(Bytes input);
  bool end_of_input();
  void fail(Kind kind, const char* what, std::string detail = {});

  Owner& owner_;
  ServerConnection connection_;
  http::H1ResponseReader reader_;
  http::ResponseHead* response_ = nullptr;
  http::HeaderList* trailers_ = nullptr;
  std::string partial_;   // the beginning of a head that has not arrived whole
  bool chunked_ = false;  // the request body is
  bool request_sent_ = false;
  bool upgrade_ = false;
  bool got_bytes_ = false;
  bool reusable_ = false;
  int interims_ = 0;
};

}  // namespace sallyport
