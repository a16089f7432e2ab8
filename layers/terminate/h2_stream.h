// A client's request over HTTP/2, from its HEADERS to the close of its stream. Made by its H2Flow; when the stream is
// closed it logs, gives everything back and dies at the end of the turn.
#pragma once
#include <string_view>

#include "http/h2_session.h"
#include "http/reply.h"
#include "layers/terminate/exchange.h"

namespace sallyport {

class H2Flow;
struct AllStreams;
struct ReadyStreams;

class H2ClientStream final : public http::H2Stream,
                             public ListHook<AllStreams>,
                             public ListHook<ReadyStreams>,
                             public Doomed,
                             private Exchange::ClientSide,
                             private Deadline::Owner {
 public:
  explicit H2ClientStream(H2Flow& flow);
  ~H2ClientStream() override;

  // What the session tells. They send at most; nothing is read and nothing dies in them, but on_closed ends the stream.
  void on_head(bool too_large);
  void on_data(Bytes piece);
  void on_end();
  void on_sent();
  void on_closed(http::H2Code code);
  // Moves what can be moved. False: the budget is spent.
  bool pump();
  // The connection's end takes the stream along: on_closed, which follows, logs it so.
  void note_end(End end, std::string_view reason);
  const ServiceUse& service() const noexcept { return exchange_->service; }
  void server_down(const Endpoint& endpoint) { exchange_->server_down(endpoint); }
  void end_if_gone(uint64_t now_ms, uint64_t since_ms);
  bool has_head() const noexcept { return head_complete_; }
  void describe(SessionInfo& info) const;

 private:
  enum class Wait : uint8_t { none, body, write };

  void on_exchange() override;
  void on_response_head(Exchange& exchange, bool interim) override;
  void on_response_body(Exchange& exchange, Bytes piece) override;
  void on_response_end(Exchange& exchange) override;
  void on_upgraded(Exchange& exchange, Bytes rest) override;
  void on_half_closed(Exchange& exchange) override;
  void on_failed(Exchange& exchange, int status) override;
  size_t may_receive() const override;
  void on_deadline(Deadline& which) override;

  void begin();
  void respond(const http::Reply& reply);
  void refuse(int status, End end, std::string_view reason);
  void abort(http::H2Code code, End end, std::string_view reason);
  void release();
  void finish();
  Wait waiting() const noexcept;
  config::Milliseconds time_for(Wait wait) const noexcept;
  void note_progress() noexcept;
  config::Milliseconds look_again() const noexcept;
  const config::Timeouts& timeouts() const noexcept;

  H2Flow& flow_;
  ExchangePtr exchange_;
  Deadline deadline_;
  uint64_t since_ms_ = 0;  // of the last progress, or of when the client was begun to be waited for
  size_t unconsumed_ = 0;  // bytes of the body that the server has not taken yet
  bool head_complete_ = false;
  bool head_sent_ = false;  // of the final response
  bool response_over_ = false;
  bool released_ = false;
  bool grpc_ = false;
  bool tunnel_ = false;  // an extended CONNECT
  bool end_noted_ = false;
  bool closed_ = false;  // a tunnel's stream: what the client sent last is still on its way to the server
};

}  // namespace sallyport
