// The main thread: reads the configuration, opens sockets, runs the workers, follows names, and takes the process down
// in order. Everything slow happens here.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/signals.h"
#include "runtime/health.h"
#include "runtime/names.h"
#include "runtime/sockets.h"
#include "runtime/state_files.h"
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
  bool serving() const noexcept { return serving_ && !draining_; }
  bool draining() const noexcept { return draining_; }
  const std::vector<std::unique_ptr<Worker>>& workers() const noexcept { return workers_; }

 private:
  void on_deadline(Deadline& which) override;
  void on_signal(int number);
  bool open_sockets();
  void hand_out(OpenSocket socket);
  void retry_binds();
  void start_workers();
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
  Health health_;
  GatewayLimits limits_;
  std::unique_ptr<SocketOpener> opener_;
  std::vector<OpenSocket> opened_;
  std::vector<FailedBind> failed_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Signals> signals_;
  Deadline rebind_;
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
