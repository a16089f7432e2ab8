// Tells people what they must know while nobody looks: by webhook, mail, or a program of theirs. Belongs to the control
// thread, which never waits for it: what is told, and when, is AlertBook's; sending is AlertSender's thread and
// children.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/process.h"
#include "runtime/alert_book.h"
#include "runtime/alert_changes.h"
#include "runtime/alert_sender.h"

namespace sallyport {

class Alerts final : private Deadline::Owner {
 public:
  // Of one kind of receiver. Any thread may read.
  struct Counts {
    std::atomic<uint64_t> sent{0};
    std::atomic<uint64_t> failed{0};   // messages that no try brought there
    std::atomic<uint64_t> dropped{0};  // changes that were never told
  };

  explicit Alerts(Loop& loop);
  ~Alerts();
  Alerts(const Alerts&) = delete;
  Alerts& operator=(const Alerts&) = delete;

  // At the start and after each reload. Receivers that stay as they are keep what waits for them.
  void configure(const std::vector<config::Alert>& alerts);
  // Where it is kept what was told of certificates. Once, before follow().
  void keep_in(const std::filesystem::path& state_directory);
  // Looks at this snapshot's certificates now and every hour. What is not in it is forgotten.
  void follow(std::shared_ptr<const Snapshot> snapshot);

  void server_changed(const std::string& service, const Endpoint& server, bool up, const std::string& reason,
                      uint64_t down_ms);
  void service_changed(const std::string& service, bool has_server);
  // Not for a dry run.
  void reloaded(const ReloadReport& report);

  const Counts& counts(config::Alert::Kind kind) const noexcept { return counts_[static_cast<size_t>(kind)]; }
  // The end of the process, outside Loop::run(): what is being sent gets this long.
  void stop(std::chrono::milliseconds grace);

 private:
  static constexpr size_t kKinds = 3;
  struct Inbox;
  struct Run {  // of a program
    AlertBook::AlertPtr alert;
    std::unique_ptr<Process> process;
  };

  void on_deadline(Deadline& which) override;
  void note(AlertChange change);
  void tell_of(const std::vector<CertificateEnd>& certificates);
  void pump();
  void begin(AlertBook::Due due);
  void run_program(AlertBook::Due due);
  void ended(const AlertBook::AlertPtr& alert, const AlertMessage& message, bool sent, bool again,
             const std::string& why);
  void save();

  Loop& loop_;
  AlertBook book_;
  std::shared_ptr<Inbox> inbox_;
  std::unique_ptr<AlertSender> sender_;  // made with the first webhook or mail
  std::vector<std::unique_ptr<Run>> runs_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::filesystem::path file_;
  std::string saved_;
  bool save_failed_ = false;
  bool stopping_ = false;
  size_t sending_ = 0;
  Deadline due_{*this};
  Deadline look_{*this};
  Deadline stop_end_{*this};
  std::array<Counts, kKinds> counts_;
};

}  // namespace sallyport
