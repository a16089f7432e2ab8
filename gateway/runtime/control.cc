#include "runtime/control.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "base/block_cache.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"
#include "base/text.h"
#include "config/load.h"
#include "runtime/log_setup.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kNamesWait{1'000};
constexpr std::chrono::seconds kSave{60};
constexpr std::chrono::seconds kAlertsGrace{2};

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

std::string some_of(std::span<const std::string> names) {
  constexpr size_t kMost = 10;
  std::string out = joined(names.first(std::min(names.size(), kMost)));
  if (names.size() > kMost) out += format(" and {} more", names.size() - kMost);
  return out;
}

// What differs, in one line; empty if nothing does.
std::string summary_of(const ReloadReport& report) {
  std::string out;
  const auto part = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) out += format("{}{} {}", out.empty() ? "" : "; ", what, some_of(names));
  };
  part("added", report.added);
  part("changed", report.changed);
  part("removed", report.removed);
  part("opened", report.listeners_opened);
  part("closed", report.listeners_closed);
  if (report.certificates > 0)
    out += format("{}{} TLS context{} made anew", out.empty() ? "" : "; ", report.certificates,
                  report.certificates == 1 ? "" : "s");
  return out;
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
                      [this](const Endpoint& endpoint) { names_.look_again(endpoint.host()); },
                      [this](const std::string& service, const Endpoint* server, bool good, const std::string& reason,
                             uint64_t down_ms) {
                        if (server != nullptr)
                          alerts_.server_changed(service, *server, good, reason, down_ms);
                        else
                          alerts_.service_changed(service, good);
                      }}),
      listeners_(loop_, workers_),
      reloader_(background_, {[this] { return rebuild_input(); }, [] { notify_reloading(); },
                        [this](Rebuilt rebuilt, Reloader::Done done) { publish(std::move(rebuilt), std::move(done)); }}),
      watcher_(loop_, [this] { reload(ReloadReport::By::files); }),
      watchdog_(loop_, notify_alive),
      drain_end_(*this),
      names_wait_(*this),
      rotate_(*this),
      save_(*this) {}

Control::~Control() = default;

bool Control::prepare() {
  config::Config config = config::load(directory_);
  config::Logs logs = config.gateway.logs;
  if (config.gateway_faulty) logs.target = {};  // whoever started it wants to see why it does not start
  log_setup(logs);
  state_ = std::make_unique<StateFiles>(config.gateway.state_directory);
  std::string problem;
  cookie_secret_ = cookie_secret_for(config, {}, problem);
  if (!problem.empty()) log::warn("{}", problem);
  snapshot_ = build_snapshot(std::move(config), tickets_, nullptr, cookie_secret_);
  if (auto loaded = state_->load_sticky(*snapshot_, loop_.now()); !loaded)
    log::warn("{}: some clients may meet another server than before", loaded.error().text());
  for (const config::Fault& fault : snapshot_->config.faults) log_fault(fault);
  if (snapshot_->config.gateway_faulty) {
    log::error("gateway.yaml has a fault: not started (sallyport check shows where)");
    return false;
  }
  for (const std::string& name : snapshot_->config.left_out) log::error("service {} is left out", name);
  note_told();
  last_reload_.time = unix_ms();
  last_reload_.faults = snapshot_->config.faults;
  if (snapshot_->config.has_errors()) last_reload_.result = ReloadReport::Result::partial;
  alerts_.configure(snapshot_->config.gateway.alerts);
  alerts_.keep_in(snapshot_->config.gateway.state_directory);
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
    hooks.dropped = [this](std::shared_ptr<const Snapshot> old) {
      loop_.post([this, box = std::make_shared<std::shared_ptr<const Snapshot>>(std::move(old))] { free_later(box); });
    };
    workers_.push_back(std::make_unique<Worker>(i, limits_, std::move(hooks)));
  }
  if (!listeners_.open(*snapshot_, count, inherited_sockets())) {
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
    watchdog_.watch(format("worker-{}", worker->context().number), worker->loop());
  }
  listeners_.hand_out();
}

std::string Control::status_text() const {
  const size_t services = snapshot_->services.size();
  std::string status = format("serving {} service{}", services, services == 1 ? "" : "s");
  const config::Config& config = snapshot_->config;
  const size_t out = config.left_out.size() - std::min(config.left_out.size(), config.kept.size());
  if (!config.kept.empty()) status += format(", {} as they were before a fault", config.kept.size());
  if (out > 0) status += format(", {} left out", out);
  if (config.gateway_faulty) status += ", gateway.yaml has a fault: the last good one stays";
  if (listeners_.degraded()) status += ", degraded: a listener could not be opened";
  return status;
}

int Control::run() {
  signals_ = std::make_unique<Signals>(loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP, SIGUSR1},
                                       [this](int number) { on_signal(number); });
  wait_for_names();
  if (!draining_) {
    start_workers();
    serving_ = true;
    const std::string status = status_text();
    loop_.arm(rotate_, kTicketLifetime);
    loop_.arm(save_, kSave);
    log::info("{} with {} worker{}", status, workers_.size(), workers_.size() == 1 ? "" : "s");
    notify_ready(status);
    watchdog_.start(watchdog_period());
    alerts_.follow(snapshot_);
    alerts_.reloaded(last_reload_);
    watch_files();
    loop_.at_turn_end([this] {
      if (names_known_ && names_.awaited() == 0) go_on_with_names();
    });
    loop_.run();
  }
  stop_workers();
  // libuv puts the default action back when it lets go of a signal: one that comes during the last steps must not kill.
  sigset_t late;
  sigemptyset(&late);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&late, number);
  pthread_sigmask(SIG_BLOCK, &late, nullptr);
  signals_.reset();
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) std::signal(number, SIG_IGN);
  return 0;
}

void Control::on_signal(int number) {
  if (number == SIGUSR1) return log::reopen();
  if (number == SIGHUP) {
    reload(ReloadReport::By::sighup);
    return;
  }
  if (draining_) {
    log::info("second signal: stopping at once");
    loop_.stop();
    return;
  }
  drain();
}

void Control::reload(ReloadReport::By by, Reloader::Done done) {
  if (serving()) reloader_.reload(by, std::move(done));
}

RebuildInput Control::rebuild_input() const { return {directory_, snapshot_, tickets_, cookie_secret_}; }

void Control::publish(Rebuilt rebuilt, Reloader::Done done) {
  if (!serving()) return;
  // A server that is new must have its address before the first request comes: names get a moment, as at the start.
  names_.follow(*rebuilt.snapshot);
  auto box = std::make_shared<Rebuilt>(std::move(rebuilt));
  names_known_ = [this, box, done] { put_in_place(std::move(*box), done); };
  if (names_.awaited() == 0) return go_on_with_names();
  loop_.arm(names_wait_, kNamesWait);
}

void Control::go_on_with_names() {
  names_wait_.disarm();
  if (auto go_on = std::exchange(names_known_, {}); go_on && serving()) go_on();
}

void Control::put_in_place(Rebuilt rebuilt, const Reloader::Done& done) {
  struct Reload {
    std::shared_ptr<const Snapshot> snapshot;
    OpenListeners::Steps steps;
    ReloadReport report;
    Told told;
    size_t left = 0;
  };
  auto reload = std::make_shared<Reload>();
  reload->snapshot = std::move(rebuilt.snapshot);
  reload->report = std::move(rebuilt.report);
  reload->told = {std::move(told_.faults), std::move(told_.kept)};
  reload->left = workers_.size();
  snapshot_ = reload->snapshot;
  note_told();
  cookie_secret_ = std::move(rebuilt.cookie_secret);
  for (const std::string& warning : rebuilt.warnings) log::warn("{}", warning);
  for (const EndpointRewrite& rewrite : snapshot_->rewrites) rewrite.endpoint->rewrite(rewrite.now);
  limits_.max_connections = connection_limit();
  log_setup(snapshot_->config.gateway.logs);
  reload->steps = listeners_.begin(*snapshot_);
  for (auto& worker : workers_)
    worker->post([this, &worker, reload, done] {
      reload->steps.before(*worker);
      worker->publish(reload->snapshot);
      reload->steps.after(*worker);
      loop_.post([this, reload, done] {
        if (--reload->left > 0 || !serving()) return;
        reload->snapshot.reset();
        settle(reload->report, reload->told);
        done(reload->report);
      });
    });
  OpenListeners::Change change = listeners_.finish(*snapshot_);
  reload->report.listeners_opened = std::move(change.opened);
  reload->report.listeners_closed = std::move(change.closed);
  reload->report.listeners_failed = std::move(change.failed);
  health_.follow(*snapshot_);
}

// What is wrong and has been said.
void Control::note_told() {
  told_ = {};
  for (const config::Fault& fault : snapshot_->config.faults) told_.faults.insert(fault.text());
  for (const config::Service& service : snapshot_->config.kept) told_.kept.insert(service.name);
}

// A snapshot of a hundred thousand services takes a while to free, and leaves holes that are given back.
void Control::free_later(const std::shared_ptr<std::shared_ptr<const Snapshot>>& box) {
  background_.run([box] {
    if (box->use_count() > 1) return;  // another worker still goes by it
    box->reset();
    malloc_trim(0);
  });
}

// All workers have it.
void Control::settle(const ReloadReport& report, const Told& before) {
  const bool asked = report.by != ReloadReport::By::files;
  for (const config::Fault& fault : report.faults)
    if (asked || !before.faults.contains(fault.text())) log_fault(fault);
  for (const std::string& name : report.kept)
    if (!before.kept.contains(name)) log::error("service {} goes on as it was before", name);
  if (report.result == ReloadReport::Result::refused) log::error("gateway.yaml has a fault: the last good one stays");
  const std::string summary = summary_of(report);
  if (!summary.empty())
    log::info("reloaded in {} ms: {}", static_cast<int64_t>(report.seconds * 1000), summary);
  else if (asked)
    log::info("reloaded: nothing has changed");
  ++reloads_;
  if (report.result == ReloadReport::Result::refused) ++reloads_refused_;
  last_reload_ = report;
  watch_files();
  notify_ready(status_text());
  alerts_.configure(snapshot_->config.gateway.alerts);
  alerts_.follow(snapshot_);
  alerts_.reloaded(report);
  for (const auto& observer : observers_) observer(report);
  forget_blocks();  // a reload gives back more than this thread, with its health checks, asks for again
}

void Control::watch_files() {
  const bool watched = watcher_.watch(watched_of(*snapshot_));
  if (!watched && !watch_failed_)
    log::warn("{}: changes there are not noticed by themselves; `sallyport reload` takes them up", watcher_.problem());
  watch_failed_ = !watched;
}

void Control::drain() {
  draining_ = true;
  listeners_.stop();
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
  drain_end_.disarm();
  alerts_.stop(kAlertsGrace);
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

void Control::on_deadline(Deadline& which) {
  if (&which == &drain_end_) {
    log::warn("the drain time is over: open connections are cut");
    loop_.stop();
  } else if (&which == &names_wait_) {
    if (names_known_)
      go_on_with_names();
    else
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
