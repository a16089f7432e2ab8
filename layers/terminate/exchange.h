// One request and its response, whatever protocol carries them on either side. Finds a server, sends the request, hands
// the response to the client's flow, and tries again where nothing can be done twice. Lent by a pool of the worker;
// belongs to one flow at a time.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "layers/counting.h"
#include "layers/layer.h"
#include "layers/service.h"
#include "layers/terminate/h1_leg.h"
#include "layers/terminate/h2_leg.h"
#include "upstream/connector.h"

namespace sallyport {

class Exchange final : private Connector::Owner,
                       private Leg::Owner,
                       private Deadline::Owner,
                       private Runnable,
                       private Tally::Mover {
 public:
  // The client's side. on_* tell what is new; none of them may destroy the exchange, only note it: on_exchange comes
  // when the client's flow should pump.
  class ClientSide {
   public:
    virtual void on_exchange() = 0;
    virtual void on_response_head(Exchange& exchange, bool interim) = 0;
    virtual void on_response_body(Exchange& exchange, Bytes piece) = 0;
    virtual void on_response_end(Exchange& exchange) = 0;
    // The server has switched protocols; exchange.response is its 101, or its 2xx to an extended CONNECT. Who relays by
    // itself takes the connection (take_connection) and the rest; otherwise bytes go both ways as bodies do, the rest
    // first.
    virtual void on_upgraded(Exchange& exchange, Bytes rest) = 0;
    // After on_upgraded: the server has ended its side, the client may still send. on_response_end comes when that is
    // over too.
    virtual void on_half_closed(Exchange& exchange) = 0;
    // No (more) response will come. status: what to answer if nothing has been sent yet.
    virtual void on_failed(Exchange& exchange, int status) = 0;
    // Bytes of a body that it can be given at once; 0: not now.
    virtual size_t may_receive() const = 0;

   protected:
    ~ClientSide() = default;
  };

  explicit Exchange(ChunkPool& chunks);
  ~Exchange();

  // Filled by the client's reader.
  http::RequestHead request;
  http::HeaderList request_trailers;
  // Filled by the server's.
  http::ResponseHead response;
  http::HeaderList response_trailers;

  // For the log. Whoever knows them sets them.
  ServiceUse service;
  std::string host;  // as requested, before anything was rewritten
  std::string path;
  std::string referer, user_agent;  // likewise; only where the access log wants them
  int status = 0;  // of the final response sent to the client
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t started_us = 0;
  int64_t first_byte_ms = -1;
  End end = End::ok;
  std::string reason;
  Address client_address;  // the effective one

  // Sends the request on. The head must be complete, routed, and as the server should see it.
  void begin(Client& client, ClientSide& side, bool upgrade);
  bool begun() const noexcept { return side_ != nullptr; }
  void send_body(Bytes piece);
  void send_end();
  // False while the server (or the wait for one) holds enough of the body.
  bool wants_body() const noexcept;
  // Moves what can be moved. False: the budget is spent.
  bool pump();
  // The server has something to read, and may have more to say.
  bool can_progress() const noexcept { return !over_ && leg_ != nullptr && leg_->can_progress(); }
  // Ends what this server was asked, and is tunneled to it.
  void server_down(const Endpoint& endpoint);
  // It belongs to nothing that is configured, since at least so long.
  bool gone(uint64_t now_ms, uint64_t since_ms) const noexcept;
  // The client is gone, or has what it needs: frees the server's side at once. An unfinished connection is reset.
  void cancel();
  // The response is complete: the server's connection goes back to the pool, or stays for this client only.
  void release();
  // A connection to keep for the next request of the same client (NTLM, PROXY protocol). May be empty.
  ServerConnection take_pinned() noexcept { return std::move(pinned_); }
  void offer_pinned(ServerConnection connection) noexcept { pinned_ = std::move(connection); }
  // The server authenticates its connection, not the request (NTLM, Negotiate).
  bool authenticates_connection() const noexcept { return ntlm_; }
  // In on_upgraded: the server's side is an HTTP/1.1 connection, to be had whole.
  bool has_connection() const noexcept { return leg_ == &h1_leg_; }
  ServerConnection take_connection() noexcept;
  // How the server reset its stream, over HTTP/2; no_error if it did not.
  http::H2Code server_code() const noexcept { return server_code_; }
  int64_t connect_ms() const noexcept { return connect_ms_; }
  const std::string& server_label() const noexcept { return server_label_; }
  // Counts the bytes that are not in the counters yet; tunnel_*: of what has taken the connection, besides bytes_*.
  void count_bytes(const Client& client, uint64_t tunnel_in = 0, uint64_t tunnel_out = 0);
  // The server that was connected to last; null if none was.
  const Endpoint* server() const noexcept;
  uint32_t retries() const noexcept { return tries_ > 1 ? static_cast<uint32_t>(tries_ - 1) : 0; }
  void reset();

 private:
  void on_connected(Result<ServerConnection>& outcome) override;
  void leg_event() override;
  void leg_head(bool interim) override;
  void leg_body(Bytes piece) override;
  void leg_ended() override;
  void leg_upgraded(Bytes rest) override;
  void leg_half_closed() override;
  void leg_failed(const Error& error) override;
  size_t leg_may_read() const override;
  void on_deadline(Deadline& which) override;
  void on_run() override { connect(true); }
  void count_moved() override { count_bytes(*client_); }

  bool speaks_for_one_client() const noexcept;
  void connect(bool only_fresh);
  void start_request(ServerConnection&& connection);
  void send_held();
  bool repeatable() const noexcept;
  void keep_for_replay(Bytes piece);
  bool may_retry(const Error& error) const noexcept;
  // The same request may be sent to another server though this one has seen it (retry_on: reset, 502 …).
  bool may_repeat() const noexcept;
  bool retry_on_status() const;
  void let_go();
  void note_first_byte();
  // The server that was asked has answered with this class of status, or, 0, has not.
  void count_answer(int status_class);
  config::Milliseconds answer_time() const noexcept;
  void fail(End how, int status_to_send, std::string why);
  void arm(config::Milliseconds after);
  void note_progress();

  Client* client_ = nullptr;
  ClientSide* side_ = nullptr;
  WorkerUpstream* upstream_ = nullptr;
  Connector connector_;
  H1Leg h1_leg_;
  H2Leg h2_leg_;
  Leg* leg_ = nullptr;  // whichever is attached
  ChunkPool& chunks_;
  Deadline deadline_;
  std::unique_ptr<Chain> held_;  // body that waits for a connection, or for a tunnel to open
  // Body that has been sent over HTTP/2, where a server may say later that it did nothing with the request. Null: none,
  // or too much.
  std::unique_ptr<Chain> replay_;
  ServerConnection pinned_;
  std::string server_label_;
  uint64_t progress_ = 0;  // the leg's, when the deadline was armed
  CountedBytes counted_;
  http::H2Code server_code_ = http::H2Code::no_error;
  int64_t connect_ms_ = -1;
  size_t endpoint_ = 0;  // of the server that was asked last
  Tried refused_ = 0;    // servers that have not processed it
  int preferred_ = -1;   // the server that the client's cookie names
  int tries_ = 0;
  bool upgrade_ = false;
  bool request_ended_ = false;
  bool body_seen_ = false;
  bool head_received_ = false;
  bool upgraded_ = false;
  bool replayable_body_ = true;  // what was sent of the body is in replay_, all of it
  bool only_http1_ = false;      // the server wants this request over HTTP/1.1
  bool over_ = false;            // ended, failed or taken: nothing more is said to the client's side
  bool asked_ = false;           // a server, and what came of it has not been counted
  bool pin_ = false;
  bool ntlm_ = false;
};

// The exchanges of one worker: warm ones first, so that a request allocates nothing.
class ExchangePool {
 public:
  explicit ExchangePool(ChunkPool& chunks) noexcept : chunks_(chunks) {}
  Exchange* take();
  void give(Exchange* exchange);

 private:
  ChunkPool& chunks_;
  std::vector<std::unique_ptr<Exchange>> free_;
};

struct ExchangeReturner {
  ExchangePool* pool = nullptr;
  void operator()(Exchange* exchange) const { pool->give(exchange); }
};
using ExchangePtr = std::unique_ptr<Exchange, ExchangeReturner>;

}  // namespace sallyport
