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
#include "runtime/session_walk.h"
#include "runtime/view.h"
#include "transport/upstream_sessions.h"

namespace sallyport {

// Bounds of the whole gateway, shared by the workers, touched once a connection.
struct GatewayLimits {
  std::atomic<uint32_t> max_connections{0};
  unsigned workers = 1;
  std::atomic<uint32_t> connections{0};
};

class Worker final : private Deadline::Owner {
 public:
  struct Hooks {
    std::function<void(Endpoint&)> connect_failed;  // any thread
    std::function<void()> drained;                  // any thread; once, after drain()
    // any thread: nobody here goes by this snapshot any more. Freeing one takes a while: not this thread's.
    std::function<void(std::shared_ptr<const Snapshot>)> dropped;
  };
  Worker(unsigned number, GatewayLimits& limits, Hooks hooks);
  ~Worker();

  void start();
  void join();
  void post(std::function<void()> message) { loop_.post(std::move(message)); }
  const Counters& counters() const noexcept { return counters_; }

  // A new snapshot: sessions that come from now on go by it, and those there are go over to it. What belongs to nothing
  // that it knows has `drain_timeout` to end.
  void publish(std::shared_ptr<const Snapshot> snapshot);
  // address: of the socket, as the configuration writes it.
  void add_listener(UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share, std::string address);
  // Takes who waits, then closes. What came of it before is not touched.
  void close_listener(const ListenerShare& share, const std::string& address);
  // The socket goes on under another listener's name.
  void move_listener(const ListenerShare& from, const std::string& address, const std::shared_ptr<ListenerShare>& to);
  // No new connections; idle ones end, busy ones when they are done. Hooks::drained when none is left.
  void drain();
  void abort_sessions();
  // Ends what is carried to this server (health.on_down: close).
  void close_sessions_of(const Endpoint& endpoint);
  // Sessions one after the other, a slice a turn.
  void walk_sessions(SessionWalk::Visit visit, SessionWalk::Done done);
  Session* first_session() noexcept { return sessions_.front(); }
  Session* next_session(Session& session) noexcept { return sessions_.next(session); }
  void session_leaves(Session& session);
  unsigned number() const noexcept { return number_; }
  void stop() { loop_.stop(); }

  Loop& loop() noexcept { return loop_; }
  WorkerContext& context() noexcept { return context_; }
  GatewayLimits& limits() noexcept { return limits_; }
  SnapshotView* view() noexcept { return view_; }
  bool draining() const noexcept { return draining_; }
  // A new client, for whom a place has been reserved. False: no session came of it.
  bool accepted(UniqueFd fd, const Address& peer, ListenerShare& share);
  // service: of this worker's snapshot, or of one that something here still goes by.
  ServiceUse use(const Service& service);
  void session_ended(SnapshotView& view);
  // A session of this view has found that its listener is gone.
  void left_behind(SnapshotView& view);

 private:
  void on_deadline(Deadline& which) override;
  void end_of_turn();
  void retire_services();
  void watch_for_gone();
  void end_what_is_gone();

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
  std::vector<std::unique_ptr<WorkerService>> services_;  // of the newest snapshot, by slot; null: not used yet
  std::vector<std::unique_ptr<WorkerService>> retired_;   // something of them is still in flight
  Deadline gone_{*this};                                  // when to look for what belongs to nothing any more
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::shared_ptr<ListenerShare>> shares_;  // sessions count in them after their listener is closed
  List<Session> sessions_;
  List<SessionWalk> walks_;
  uint64_t next_session_id_ = 1;
  size_t session_count_ = 0;
  bool draining_ = false;
  bool told_drained_ = false;
  std::thread thread_;
};

}  // namespace sallyport
