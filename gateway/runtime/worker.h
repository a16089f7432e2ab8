// One thread that moves bytes: its loop, buffers, pools, counters and sessions. Shares nothing with other workers on
// the hot path. Everything public but start(), join(), post() and counters() runs on its own thread.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "layers/terminate/exchange.h"
#include "runtime/listener.h"
#include "runtime/session.h"
#include "runtime/view.h"
#include "transport/upstream_sessions.h"

namespace sallyport {

// Bounds of the whole gateway, shared by the workers, touched once a connection.
struct GatewayLimits {
  uint32_t max_connections = 0;
  unsigned workers = 1;
  std::atomic<uint32_t> connections{0};
};

class Worker {
 public:
  struct Hooks {
    std::function<void(Endpoint&)> connect_failed;  // any thread
    std::function<void()> drained;                  // any thread; once, after drain()
  };
  Worker(unsigned number, GatewayLimits& limits, Hooks hooks);
  ~Worker();

  void start();
  void join();
  void post(std::function<void()> message) { loop_.post(std::move(message)); }
  const Counters& counters() const noexcept { return counters_; }

  // A new snapshot: sessions that come from now on go by it.
  void publish(std::shared_ptr<const Snapshot> snapshot);
  void add_listener(UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share);
  // No new connections; idle ones end, busy ones when they are done. Hooks::drained when none is left.
  void drain();
  void abort_sessions();
  // Ends what is carried to this server (health.on_down: close).
  void close_sessions_of(const Endpoint& endpoint);
  void stop() { loop_.stop(); }

  Loop& loop() noexcept { return loop_; }
  WorkerContext& context() noexcept { return context_; }
  GatewayLimits& limits() noexcept { return limits_; }
  SnapshotView* view() noexcept { return view_; }
  bool draining() const noexcept { return draining_; }
  // A new client, for whom a place has been reserved. False: no session came of it.
  bool accepted(UniqueFd fd, const Address& peer, ListenerShare& share);
  void session_ended(SnapshotView& view);

 private:
  void end_of_turn();

  unsigned number_;
  GatewayLimits& limits_;
  Hooks hooks_;
  Loop loop_;
  IoContext io_;
  AccessLog access_log_;
  Counters counters_;
  ExchangePool exchanges_;
  WorkerContext context_;
  UpstreamSessions tls_sessions_;
  UpstreamContextOfWorker upstream_context_;
  std::vector<std::unique_ptr<SnapshotView>> views_;
  SnapshotView* view_ = nullptr;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::shared_ptr<ListenerShare>> shares_;  // sessions count in them after their listener is closed
  List<Session> sessions_;
  size_t session_count_ = 0;
  bool draining_ = false;
  bool told_drained_ = false;
  std::thread thread_;
};

}  // namespace sallyport
