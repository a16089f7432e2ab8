// One client connection, from accept to close: reads the PROXY header where one is due, finds out what the client
// speaks, and then carries the flow that deals with it. Lives on one worker, in its list; dies through the graveyard.
#pragma once
#include <memory>
#include <string>

#include "layers/layer.h"
#include "runtime/view.h"

namespace sallyport {

class Worker;

class Session final : public Client,
                      public Doomed,
                      public ListHook<Session>,
                      private IoHandler,
                      private Deadline::Owner {
 public:
  // The listener's connection count is held by the session until it ends.
  Session(Worker& owner, SnapshotView& view, const ListenerRules& rules, TransportPtr client,
          const Address& peer_address, std::atomic<uint32_t>* listener_count, uint64_t id);
  ~Session() override;

  void start();
  // Stopping, or its view was replaced.
  void drain();
  // The drain time is over, or the operator wants it gone (End::killed).
  void abort(End why);
  // Goes over to a newer view, if its listener is still there and its flow may; otherwise it is asked again later, or
  // ends as at a stop.
  void follow(SnapshotView& newest);
  // Ends what has belonged to nothing that is configured for as long as that.
  void end_what_is_gone(uint64_t since_ms);
  void server_down(const Endpoint& endpoint) {
    if (state_ == State::flowing && flow_) flow_->server_down(endpoint);
  }

  // A number of its own among the sessions of its worker.
  uint64_t id() const noexcept { return id_; }
  const SnapshotView& view() const noexcept { return *view_; }
  void describe(SessionInfo& info) const;

  void become(std::unique_ptr<Flow> next) override;
  void end() override;
  void end_lingering() override;
  ServiceUse use(const Service& service) override;
  bool draining() const noexcept override;

 private:
  enum class State : uint8_t { proxy_header, sniffing, flowing, lingering, ended };

  void on_io() override;
  void on_deadline(Deadline& which) override;
  void read_first_bytes();
  // True: go on sniffing with what is left; false: more is needed, or the session has ended.
  bool read_proxy_header(Bytes& seen);
  void sniff_bytes(Bytes seen, bool at_end);
  void keep(Bytes seen);
  void run(std::unique_ptr<Flow> flow);
  void count_sniffed(Sniff protocol);
  void turn_away(Rejection reason, End how, std::string_view why);
  void linger();
  bool trusted_proxy() const noexcept;

  Worker& owner_;
  SnapshotView* view_;
  std::atomic<uint32_t>* listener_count_;
  const uint64_t id_;
  std::unique_ptr<Flow> flow_;
  std::string seen_;  // first bytes, while more are needed
  HelloProgress hello_progress_;
  Deadline deadline_;
  State state_ = State::sniffing;
  bool left_behind_ = false;  // by a reload: its listener is gone
  bool silent_ = false;  // the deadline stands for silence, not for the handshake
  uint32_t discarded_ = 0;
};

}  // namespace sallyport
