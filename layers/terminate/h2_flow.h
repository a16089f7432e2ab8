// HTTP/2 with a client, over TLS that ends here or in cleartext: one Exchange per stream, each routed by its own
// :authority and path. The flow moves bytes between the session and the socket; what happens to a request is its
// H2ClientStream's business.
#pragma once
#include <memory>
#include <string>

#include "http/h2_session.h"
#include "layers/layer.h"
#include "layers/rules.h"
#include "layers/terminate/dispatch.h"
#include "layers/terminate/h2_stream.h"
#include "transport/gathered_writes.h"

namespace sallyport {

class H2Flow final : public Flow, private http::H2Session::Owner, private Deadline::Owner, private Runnable {
 public:
  // client_rule: as for H1Flow.
  H2Flow(Client& client, std::string client_rule);
  ~H2Flow() override;

  void start() override;
  void drain() override;
  void abort(End why) override;
  void describe(SessionInfo& info) const override;
  void server_down(const Endpoint& endpoint) override;
  bool may_follow() const noexcept override { return true; }
  void followed() override;
  void end_what_is_gone(uint64_t since_ms) override;
  void on_io() override {
    if (!gives_way()) pump();
  }

  // For its streams.
  Client& client() noexcept { return client_; }
  http::H2Session& session() noexcept { return session_; }
  std::string_view client_rule() const noexcept { return client_rule_; }
  PinnedConnections& pinned() noexcept { return pinned_; }
  // The stream has something to do: it is pumped soon.
  void ready(H2ClientStream& stream) noexcept;
  // No stream may hold much while all of them together hold more than this.
  bool crowded() const noexcept;
  void remove(H2ClientStream& stream);

 private:
  http::H2Stream* h2_open() override;
  void h2_head(http::H2Stream& stream, bool too_large) override;
  void h2_data(http::H2Stream& stream, Bytes piece) override;
  void h2_end(http::H2Stream& stream) override;
  void h2_sent(http::H2Stream& stream) override;
  void h2_closed(http::H2Stream& stream, http::H2Code code, bool unprocessed) override;
  void h2_changed() override {}
  void h2_write(Bytes head, Bytes payload) override;

  void on_deadline(Deadline& which) override;
  void on_run() override { pump(); }

  void pump();
  bool step(bool& again);  // one round; true if another may move something
  void pump_streams(bool& again);
  void write();
  bool read();
  void wake() noexcept;
  void gone(End end, std::string_view reason);
  // Each with its line in the log.
  void end_streams(End end, std::string_view reason);
  void rearm();
  const config::Timeouts& timeouts() const noexcept;

  std::string client_rule_;
  http::H2Session session_;
  PinnedConnections pinned_;
  mutable List<H2ClientStream, AllStreams> streams_;  // walked by describe()
  List<H2ClientStream, ReadyStreams> ready_;
  Deadline deadline_;
  GatheredWrites* gather_ = nullptr;
  ServiceUse last_service_;
  uint64_t client_progress_ = 0;
  uint64_t heads_ = 0;     // begun so far
  uint64_t active_ms_ = 0;  // of the loop's clock
  size_t incomplete_ = 0;  // streams whose head has not arrived whole
  uint8_t waiting_for_ = 0;
  bool answered_ = false;   // a request has been begun before
  bool draining_ = false;   // the first GOAWAY has been sent
  bool shut_ = false;       // the last one
  bool eof_ = false;        // the client has ended its side
  bool timed_out_ = false;  // a head has
  bool pumping_ = false;
  bool ended_ = false;
};

}  // namespace sallyport
