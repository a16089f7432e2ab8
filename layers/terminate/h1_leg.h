// An Exchange's server side over HTTP/1.1: writes the request, reads the response. One request at a time; the
// connection outlives it when both ends agree.
#pragma once
#include <string>

#include "http/h1_reader.h"
#include "http/message.h"
#include "layers/terminate/leg.h"
#include "upstream/connector.h"

namespace sallyport {

class H1Leg final : public Leg, public IoHandler {
 public:
  explicit H1Leg(Owner& owner) noexcept : owner_(owner) {}

  void attach(ServerConnection&& connection, http::ResponseHead& response, http::HeaderList& trailers);
  bool attached() const noexcept { return connection_.transport != nullptr; }
  void send_head(const http::RequestHead& request, bool upgrade, std::string& scratch) override;
  void send_body(Bytes piece, std::string& scratch) override;
  void send_end(const http::HeaderList& trailers, std::string& scratch) override;
  bool congested() const noexcept override { return connection_.transport->congested(); }
  bool sending() const noexcept override { return connection_.transport->pending() > 0; }
  bool pump() override;
  bool can_progress() const noexcept override;
  uint64_t progress() const noexcept override { return connection_.transport->moved(); }
  void abandon() noexcept override;
  // True once the response is complete and the server keeps the connection.
  bool reusable() const noexcept { return reusable_; }
  // What came instead of a response was a TLS record.
  bool saw_tls() const noexcept { return saw_tls_; }
  ServerConnection detach() noexcept;
  void close() noexcept { connection_ = ServerConnection(); }

 private:
  void on_io() override { owner_.leg_event(); }
  bool read_all();
  // False: the leg has ended.
  bool feed(Bytes input);
  bool switch_protocols(Bytes rest);
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
  bool raw_ = false;          // after 101
  bool half_closed_ = false;  // with raw_: the server has ended its side
  bool end_wanted_ = false;   // with raw_: the client has
  bool got_bytes_ = false;
  bool saw_tls_ = false;
  bool reusable_ = false;
  int interims_ = 0;
};

}  // namespace sallyport
