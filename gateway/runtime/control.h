// The main thread: reads the configuration, opens sockets, runs the workers, follows names, and takes the process down
// in order. Everything slow happens here.
#pragma once
#include <filesystem>
#include <functional>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/signals.h"
#include "runtime/alerts.h"
#include "runtime/health.h"
#include "runtime/names.h"
#include "runtime/open_listeners.h"
#include "runtime/reloader.h"
#include "runtime/state_files.h"
#include "runtime/watchdog.h"
#include "runtime/worker.h"

namespace sallyport {

class Control final : private Deadline::Owner {
 public:
  explicit Control(std::filesystem::path directory);
  ~Control();

  // Reads everything and opens the sockets. False: the start is refused, and why has been logged.
  bool prepare();
  // Until a signal has ended it. The exit code.
  int run();

  Loop& loop() noexcept { return loop_; }
  const Snapshot& snapshot() const noexcept { return *snapshot_; }
  const std::shared_ptr<const Snapshot>& snapshot_ptr() const noexcept { return snapshot_; }
  bool serving() const noexcept { return serving_ && !draining_; }
  bool draining() const noexcept { return draining_; }
  // Not all is as it should be: a listener could not be opened, or gateway.yaml has a fault and the last good one stays.
  bool degraded() const noexcept { return listeners_.degraded() || snapshot_->config.gateway_faulty; }
  const std::vector<std::unique_ptr<Worker>>& workers() const noexcept { return workers_; }
  const Watchdog& watchdog() const noexcept { return watchdog_; }
  const Alerts& alerts() const noexcept { return alerts_; }
  const OpenListeners& listeners() const noexcept { return listeners_; }
  const GatewayLimits& limits() const noexcept { return limits_; }

  // Reads all files again. done: once all workers have what came of it; may be empty.
  void reload(ReloadReport::By by, Reloader::Done done = {});
  // What a reload would do, without doing it.
  void preview_reload(Reloader::Done done) { reloader_.preview(std::move(done)); }
  // Of the start, at first.
  const ReloadReport& last_reload() const noexcept { return last_reload_; }
  uint64_t reloads() const noexcept { return reloads_; }
  uint64_t reloads_refused() const noexcept { return reloads_refused_; }
  // Called after each reload, when it is in place. For those who show, count or tell it.
  void on_reloaded(std::function<void(const ReloadReport&)> observer) { observers_.push_back(std::move(observer)); }
  const std::filesystem::path& directory() const noexcept { return directory_; }
  struct ListenerState {
    struct BindState {
      std::string address;
      std::string error;  // why it could not be opened; empty: it is open
    };
    std::string name;
    std::vector<BindState> binds;
    uint32_t sessions = 0;
  };
  // In the order of the configuration.
  std::vector<ListenerState> listener_states() const;

 private:
  void on_deadline(Deadline& which) override;
  void on_signal(int number);
  bool open_sockets();
  void start_workers();
  RebuildInput rebuild_input() const;
  void publish(Rebuilt rebuilt, Reloader::Done done);
  void go_on_with_names();
  void put_in_place(Rebuilt rebuilt, const Reloader::Done& done);
  struct Told {
    std::set<std::string> faults, kept;
  };
  void note_told();
  void settle(const ReloadReport& report, const Told& before);
  void free_later(const std::shared_ptr<std::shared_ptr<const Snapshot>>& box);
  void watch_files();
  std::string status_text() const;
  void drain();
  void worker_drained();
  void stop_workers();
  void wait_for_names();
  void close_sessions_of(const std::shared_ptr<Endpoint>& endpoint);
  void save_state();
  uint32_t connection_limit() const;

  std::filesystem::path directory_;
  Loop loop_;
  std::shared_ptr<TicketKeys> tickets_;
  std::shared_ptr<const Snapshot> snapshot_;
  Names names_;
  Alerts alerts_{loop_};
  Health health_;
  GatewayLimits limits_;
  std::vector<std::unique_ptr<Worker>> workers_;
  OpenListeners listeners_;
  std::unique_ptr<Signals> signals_;
  Background background_{loop_};
  Reloader reloader_;
  FileWatcher watcher_;
  Watchdog watchdog_;
  ReloadReport last_reload_;
  Told told_;
  std::function<void()> names_known_;  // a reload that waits for names
  uint64_t reloads_ = 0;
  uint64_t reloads_refused_ = 0;
  std::vector<std::function<void(const ReloadReport&)>> observers_;
  bool watch_failed_ = false;  // has been told
  Deadline drain_end_;
  Deadline names_wait_;
  Deadline rotate_;
  Deadline save_;
  std::unique_ptr<StateFiles> state_;
  std::string cookie_secret_;
  bool save_failed_ = false;  // has been told
  size_t workers_drained_ = 0;
  bool serving_ = false;
  bool draining_ = false;
};

// Raises RLIMIT_NOFILE to what is allowed and returns it.
uint64_t raise_descriptor_limit();

}  // namespace sallyport
