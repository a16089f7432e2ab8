// An Exchange's server side over HTTP/2: one stream of a connection that others share. What the server sends is kept
// here until the exchange pumps; as long as it is kept, the server's window stays closed by as much.
#pragma once
#include <string>
#include <vector>

#include "base/chunk.h"
#include "http/message.h"
#include "layers/terminate/leg.h"
#include "upstream/h2_connection.h"

namespace sallyport {

class H2Leg final : public Leg, private H2Connection::Stream {
 public:
  H2Leg(Owner& owner, ChunkPool& chunks) noexcept : H2Connection::Stream(chunks), owner_(owner), in_(chunks) {}
  ~H2Leg() { abandon(); }

  void attach(ServerConnection&& connection, http::ResponseHead& response, http::HeaderList& trailers, uint64_t now_ms);
  bool attached() const noexcept { return attached_; }
  void send_head(const http::RequestHead& head, bool upgrade, std::string& scratch) override;
  void send_body(Bytes piece, std::string& scratch) override;
  void send_end(const http::HeaderList& trailers, std::string& scratch) override;
  bool congested() const noexcept override;
  bool sending() const noexcept override { return pending() > 0; }
  bool pump() override;
  bool can_progress() const noexcept override;
  uint64_t progress() const noexcept override { return progress_; }
  void suspect() noexcept override;
  void abandon() noexcept override;
  // The server is about to close the connection, which it does after so many requests: no fault of this one.
  bool server_leaves() const noexcept { return leaving_; }
  // How the server reset the stream; no_error if it has not.
  http::H2Code code() const noexcept { return code_; }

 private:
  void on_event() override { owner_.leg_event(); }
  void on_head() override;
  void on_data(Bytes piece) override;
  void on_end() override { ended_ = true; }
  void on_sent() override { ++progress_; }
  void on_settings() override { open_tunnel(); }
  void on_closed(http::H2Code code, bool unprocessed, bool lost) override;

  void open_tunnel();
  // Of a tunnel: there is nothing more to send, either.
  bool both_ended() const noexcept { return closed_ || (request_ended_ && end_sent()); }
  void tell_head();
  void fail();

  Owner& owner_;
  ServerConnection server_;
  H2Connection* connection_ = nullptr;  // as long as the stream is open there
  bool attached_ = false;
  http::ResponseHead* final_ = nullptr;
  const http::RequestHead* request_ = nullptr;
  std::vector<http::ResponseHead> interims_;
  Chain in_;
  uint64_t progress_ = 0;
  uint64_t started_ms_ = 0;
  int interims_seen_ = 0;
  http::H2Code code_ = http::H2Code::no_error;
  const char* failure_ = "";  // of our own: a limit, or what the server cannot do
  bool upgrade_ = false;
  bool request_ended_ = false;
  bool head_ready_ = false;
  bool head_told_ = false;
  bool ended_ = false;
  bool half_closed_ = false;  // told so
  bool closed_ = false;
  bool unprocessed_ = false;
  bool lost_ = false;
  bool leaving_ = false;
};

}  // namespace sallyport
