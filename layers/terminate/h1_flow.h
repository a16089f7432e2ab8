// HTTP/1.1 with a client, over TLS that ends here or plain: reads requests one after the other, routes each, and writes
// the responses in order.
#pragma once
#include <memory>
#include <string>

#include "http/h1_reader.h"
#include "http/reply.h"
#include "layers/forward/tunnel.h"
#include "layers/layer.h"
#include "layers/rules.h"
#include "layers/terminate/dispatch.h"
#include "layers/terminate/exchange.h"

namespace sallyport {

class H1Flow final : public Flow,
                     private Exchange::ClientSide,
                     private Tunnel::Owner,
                     private Deadline::Owner,
                     private Runnable {
 public:
  // client_rule: what the client's certificate was checked by, as its SNI decided; empty on plain connections.
  H1Flow(Client& client, std::string client_rule);
  ~H1Flow() override;

  void start() override;
  void drain() override;
  void abort(End why) override;
  void describe(SessionInfo& info) const override;
  void server_down(const Endpoint& endpoint) override;
  bool may_follow() const noexcept override { return true; }
  void followed() override;
  void end_what_is_gone(uint64_t since_ms) override;
  void on_io() override;

 private:
  // From the exchange.
  void on_exchange() override { on_io(); }
  void on_response_head(Exchange& exchange, bool interim) override;
  void on_response_body(Exchange& exchange, Bytes piece) override;
  void on_response_end(Exchange& exchange) override;
  void on_upgraded(Exchange& exchange, Bytes rest) override;
  void on_half_closed(Exchange& exchange) override;
  void on_failed(Exchange& exchange, int status) override;
  size_t may_receive() const override;

  void on_deadline(Deadline& which) override;
  void on_run() override { pump(); }

  void pump();
  bool step(bool& again);  // one round; true if another may move something
  bool may_read() const noexcept;
  bool read_client();  // true if something was read
  void process(Bytes input);
  void keep_input(Bytes rest);
  void on_head();
  void refuse(int status, End end, std::string_view reason);
  void respond(const http::Reply& reply);
  void write_reply(Bytes piece);
  void finish_exchange();
  bool ends_connection() const noexcept;
  bool everything_read() const noexcept;
  void close_when_sent(bool all_read);
  void cut(End end, std::string_view reason);  // the client is owed a reset
  void client_gone(End end, std::string_view reason);
  void on_tunnel_over(End end, std::string_view reason) override;
  void on_tunnel_moved() override {
    exchange_->count_bytes(client_, tunnel_->from_client(), tunnel_->from_server());
  }
  void close_exchange(End end, std::string_view reason);
  void rearm();
  const config::Timeouts& timeouts() const noexcept;

  std::string client_rule_;
  http::H1RequestReader reader_;
  ExchangePtr exchange_;  // from the first byte of a request to the end of its response
  std::string input_;     // read, not yet processed: part of a head, or pipelined requests
  PinnedConnections pinned_;
  std::unique_ptr<Tunnel> tunnel_;  // after 101; it takes the client's events then
  Deadline deadline_;
  ServiceUse last_service_;
  uint64_t client_progress_ = 0;
  uint64_t active_ms_ = 0;    // of the loop's clock
  uint32_t requests_ = 0;
  bool input_incomplete_ = false;  // what input_ holds needs more bytes to make sense
  bool request_done_ = false;      // the current request has been read whole
  bool head_sent_ = false;         // of the current response
  bool response_over_ = false;
  bool chunked_out_ = false;
  bool raw_ = false;          // after 101 of a server behind HTTP/2: bytes both ways, through the exchange
  bool close_after_ = false;  // this response is the last
  bool cut_ = false;          // the response cannot be completed
  bool closing_ = false;      // waits for the last bytes to be sent
  bool answered_ = false;     // a request before this one has been
  bool draining_ = false;
  bool pumping_ = false;
  bool ended_ = false;
  // What the deadline stands for.
  enum Wait : uint8_t { kNothing, kFirstRequest, kKeepAlive, kHead, kClient };
  Wait waiting_for_ = kNothing;
};

}  // namespace sallyport
