#include "runtime/control.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "config/load.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kRebind{5'000};
constexpr std::chrono::milliseconds kNamesWait{1'000};
constexpr std::chrono::seconds kSave{60};

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

log::Level to_level(config::LogLevel level) noexcept {
  switch (level) {
    case config::LogLevel::error: return log::Level::error;
    case config::LogLevel::warn: return log::Level::warn;
    case config::LogLevel::info: return log::Level::info;
    case config::LogLevel::debug: return log::Level::debug;
  }
  return log::Level::info;
}

void log_fault(const config::Fault& fault) {
  std::string place = fault.at.file;
  if (fault.at.line > 0) place += ":" + std::to_string(fault.at.line) + ":" + std::to_string(fault.at.column);
  std::string text = place.empty() ? fault.message : place + ": " + fault.message;
  if (fault.severity == config::Severity::error) {
    log::error("{}", text);
  } else {
    log::warn("{}", text);
  }
}

}  // namespace

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

Control::Control(std::filesystem::path directory)
    : directory_(std::move(directory)),
      tickets_(std::make_shared<TicketKeys>()),
      names_(loop_),
      health_(loop_, {[this](const std::shared_ptr<Endpoint>& endpoint) { close_sessions_of(endpoint); },
                      [this](const Endpoint& endpoint) { names_.look_again(endpoint.host()); }}),
      rebind_(*this),
      drain_end_(*this),
      names_wait_(*this),
      rotate_(*this),
      save_(*this) {}

Control::~Control() = default;

bool Control::prepare() {
  config::Config config = config::load(directory_);
  log::start(config.gateway.logs.format == config::LogFormat::json ? log::Format::json : log::Format::text,
             to_level(config.gateway.logs.level));
  state_ = std::make_unique<StateFiles>(config.gateway.state_directory);
  using By = config::Sticky::By;
  if (std::any_of(config.services.begin(), config.services.end(),
                  [](const config::Service& service) { return service.sticky.by == By::cookie; }))
    if (auto made = state_->cookie_secret(cookie_secret_); !made)
      log::warn("{}: sticky cookies are forgotten with a restart", made.error().text());
  snapshot_ = build_snapshot(std::move(config), tickets_, nullptr, cookie_secret_);
  if (auto loaded = state_->load_sticky(*snapshot_, loop_.now()); !loaded)
    log::warn("{}: some clients may meet another server than before", loaded.error().text());
  for (const config::Fault& fault : snapshot_->config.faults) log_fault(fault);
  if (snapshot_->config.gateway_faulty) {
    log::error("gateway.yaml has a fault: not started (sallyport check shows where)");
    return false;
  }
  for (const std::string& name : snapshot_->config.left_out) log::error("service {} is left out", name);
  return open_sockets();
}

uint32_t Control::connection_limit() const {
  uint64_t descriptors = raise_descriptor_limit();
  // Each connection may need a socket on either side; the rest is for listeners, pipes, files and idle server
  // connections.
  uint64_t reserve = std::min<uint64_t>(descriptors / 4, 1024) + 64;
  auto fitting =
      static_cast<uint32_t>(std::min<uint64_t>((descriptors - std::min(reserve, descriptors - 4)) / 2, 10'000'000));
  uint32_t wanted = snapshot_->config.gateway.max_connections;
  if (wanted == 0) return std::max(1u, fitting);
  if (wanted > fitting)
    log::warn("max_connections {} needs more file descriptors than the {} allowed: {} are safe", wanted, descriptors,
              fitting);
  return wanted;
}

bool Control::open_sockets() {
  unsigned count = snapshot_->config.gateway.workers != 0 ? snapshot_->config.gateway.workers : usable_cpus();
  limits_.max_connections = connection_limit();
  limits_.workers = count;
  set_counting_workers(count);
  for (unsigned i = 0; i < count; ++i) {
    Worker::Hooks hooks;
    hooks.connect_failed = [this](Endpoint& endpoint) {
      if (!endpoint.host().empty()) loop_.post([this, host = endpoint.host()] { names_.look_again(host); });
    };
    hooks.drained = [this] { loop_.post([this] { worker_drained(); }); };
    workers_.push_back(std::make_unique<Worker>(i, limits_, std::move(hooks)));
  }
  opener_ = std::make_unique<SocketOpener>(count, inherited_sockets());
  opener_->open_all(*snapshot_, opened_, failed_);
  for (const FailedBind& failed : failed_) log::error("listener \"{}\": {}", failed.share->name, failed.why);
  for (const std::string& name : opener_->unused())
    log::warn("a socket named \"{}\" was handed over, but no listener has that name", name);
  if (opened_.empty()) {
    log::error("no listener could be opened: not started");
    return false;
  }
  return true;
}

// Names get a moment before the first client comes; one that does not resolve holds nobody up for longer.
void Control::wait_for_names() {
  names_.follow(*snapshot_);
  health_.follow(*snapshot_);
  if (names_.pending() == 0) return;
  loop_.arm(names_wait_, kNamesWait);
  loop_.at_turn_end([this] {
    if (names_.pending() == 0) loop_.stop();
  });
  loop_.run();
  names_wait_.disarm();
  loop_.at_turn_end({});
}

void Control::start_workers() {
  for (auto& worker : workers_) {
    worker->publish(snapshot_);
    worker->start();
  }
  for (OpenSocket& socket : opened_) hand_out(std::move(socket));
  opened_.clear();
}

void Control::hand_out(OpenSocket socket) {
  log::info("listener \"{}\" on {}", socket.share->name, socket.address);
  for (size_t i = 0; i < workers_.size(); ++i) {
    UniqueFd fd;
    if (socket.shared) {
      fd = UniqueFd(fcntl(socket.fds.front().get(), F_DUPFD_CLOEXEC, 3));
    } else {
      fd = std::move(socket.fds[i]);
    }
    Worker& worker = *workers_[i];
    // A message must be copyable: the descriptor travels in a shared box.
    auto box = std::make_shared<UniqueFd>(std::move(fd));
    worker.post([&worker, box, shared = socket.shared, share = socket.share] {
      worker.add_listener(std::move(*box), shared, share);
    });
  }
}

int Control::run() {
  signals_ = std::make_unique<Signals>(loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP},
                                       [this](int number) { on_signal(number); });
  wait_for_names();
  if (!draining_) {
    start_workers();
    serving_ = true;
    size_t services = snapshot_->services.size();
    std::string status = format("serving {} service{}", services, services == 1 ? "" : "s");
    if (!snapshot_->config.left_out.empty()) status += format(", {} left out", snapshot_->config.left_out.size());
    if (!failed_.empty()) {
      status += ", degraded: a listener could not be opened";
      loop_.arm(rebind_, kRebind);
    }
    loop_.arm(rotate_, kTicketLifetime);
    loop_.arm(save_, kSave);
    log::info("{} with {} worker{}", status, workers_.size(), workers_.size() == 1 ? "" : "s");
    notify_ready(status);
    loop_.run();
  }
  stop_workers();
  // libuv puts the default action back when it lets go of a signal: one that comes during the last steps must not kill.
  sigset_t late;
  sigemptyset(&late);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&late, number);
  pthread_sigmask(SIG_BLOCK, &late, nullptr);
  signals_.reset();
  for (int number : {SIGTERM, SIGINT, SIGHUP}) std::signal(number, SIG_IGN);
  return 0;
}

void Control::on_signal(int number) {
  if (number == SIGHUP) {
    log::warn("SIGHUP: this version does not reload; restart to take up a changed configuration");
    return;
  }
  if (draining_) {
    log::info("second signal: stopping at once");
    loop_.stop();
    return;
  }
  drain();
}

void Control::drain() {
  draining_ = true;
  notify_stopping();
  if (!serving_) {
    loop_.stop();
    return;
  }
  auto limit = snapshot_->config.gateway.drain_timeout;
  log::info("stopping: no new connections; open ones have {} s", limit.count() / 1000);
  for (auto& worker : workers_) worker->post([&worker] { worker->drain(); });
  loop_.arm(drain_end_, std::max(limit, std::chrono::milliseconds(1)));
}

void Control::worker_drained() {
  if (++workers_drained_ == workers_.size()) loop_.stop();
}

void Control::stop_workers() {
  for (auto& worker : workers_)
    worker->post([&worker] {
      worker->abort_sessions();
      worker->stop();
    });
  for (auto& worker : workers_) worker->join();
  save_state();
  log::info("stopped");
}

void Control::close_sessions_of(const std::shared_ptr<Endpoint>& endpoint) {
  if (!serving_) return;
  for (auto& worker : workers_) worker->post([&worker, endpoint] { worker->close_sessions_of(*endpoint); });
}

void Control::save_state() {
  const Status saved = state_->save_sticky(*snapshot_, loop_.now());
  if (!saved && !save_failed_) log::warn("{}: sticky clients are forgotten with a restart", saved.error().text());
  save_failed_ = !saved;
}

void Control::retry_binds() {
  std::vector<FailedBind> still;
  for (FailedBind& failed : failed_) {
    auto socket = opener_->open(failed.share, failed.bind);
    if (socket) {
      hand_out(std::move(*socket));
    } else {
      still.push_back(std::move(failed));
    }
  }
  failed_ = std::move(still);
  if (!failed_.empty()) {
    loop_.arm(rebind_, kRebind);
  } else {
    notify_status("serving");
  }
}

void Control::on_deadline(Deadline& which) {
  if (&which == &rebind_) {
    if (!draining_) retry_binds();
  } else if (&which == &drain_end_) {
    log::warn("the drain time is over: open connections are cut");
    loop_.stop();
  } else if (&which == &names_wait_) {
    loop_.stop();
  } else if (&which == &rotate_) {
    tickets_->rotate();
    loop_.arm(rotate_, kTicketLifetime);
  } else if (&which == &save_) {
    save_state();
    loop_.arm(save_, kSave);
  }
}

}  // namespace sallyport
