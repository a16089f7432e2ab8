#include "runtime/alerts.h"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"
#include "certs/atomic_file.h"
#include "upstream/endpoint.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{3'600'000};
constexpr size_t kMostState = 1024 * 1024;

std::string label(const config::Alert& alert) { return format("{} {}", name_of(alert.kind), alert.name); }

// All that may be told of.
std::set<std::string> subjects_of(const Snapshot& snapshot, const std::vector<CertificateEnd>& certificates) {
  std::set<std::string> out{reload_subject()};
  for (const auto& service : snapshot.services) {
    if (!service->upstream) continue;
    const Upstream& upstream = *service->upstream;
    if (!upstream.health.checks() && upstream.health.passive_failures == 0) continue;
    out.insert(service_subject(upstream.service));
    for (const auto& server : upstream.endpoints) out.insert(server_subject(upstream.service, *server));
  }
  for (const CertificateEnd& certificate : certificates) out.insert(certificate_subject(certificate.file));
  return out;
}

}  // namespace

// What the sender's thread may reach, for as long as there are alerts.
struct Alerts::Inbox {
  std::mutex mutex;
  Alerts* alerts;
};

Alerts::Alerts(Loop& loop)
    : loop_(loop), book_(host_name(), std::random_device{}()), inbox_(std::make_shared<Inbox>()) {
  inbox_->alerts = this;
}

Alerts::~Alerts() {
  std::lock_guard lock(inbox_->mutex);
  inbox_->alerts = nullptr;
}

void Alerts::configure(const std::vector<config::Alert>& alerts) {
  book_.configure(alerts);
  pump();
}

void Alerts::keep_in(const std::filesystem::path& state_directory) {
  file_ = state_directory / "alerts";
  std::ifstream in(file_);
  if (!in) return;  // as at the first start
  std::string text(kMostState, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  book_.restore(text);
  saved_ = book_.save();
}

void Alerts::follow(std::shared_ptr<const Snapshot> snapshot) {
  // Where nobody is to be told, nothing is kept.
  if (book_.empty()) {
    snapshot_.reset();
    look_.disarm();
    return book_.forget_unless([](const std::string&) { return false; });
  }
  snapshot_ = std::move(snapshot);
  const auto certificates = certificate_ends(*snapshot_);
  std::set<std::string> stays;
  book_.forget_unless([&](const std::string& subject) {
    if (stays.empty()) stays = subjects_of(*snapshot_, certificates);
    return stays.contains(subject);
  });
  tell_of(certificates);
}

void Alerts::tell_of(const std::vector<CertificateEnd>& certificates) {
  for (const CertificateEnd& certificate : certificates) note(certificate_change(certificate, unix_ms() / 1000));
  save();
  loop_.arm(look_, kLook);
}

void Alerts::server_changed(const std::string& service, const Endpoint& server, bool up, const std::string& reason,
                            uint64_t down_ms) {
  note(server_change(service, server, up, reason, down_ms));
}

void Alerts::service_changed(const std::string& service, bool has_server) { note(service_change(service, has_server)); }

void Alerts::reloaded(const ReloadReport& report) { note(reload_change(report)); }

void Alerts::note(AlertChange change) {
  if (book_.empty()) return;
  if (change.time == 0) change.time = unix_ms();
  change.text = one_line(change.text);
  change.reason = one_line(change.reason);
  book_.note(std::move(change), loop_.now());
  pump();
}

// Sends what is due, and comes back when the next is.
void Alerts::pump() {
  if (stopping_) return;
  AlertBook::Taken taken = book_.take(loop_.now(), unix_ms());
  for (const auto& alert : taken.limited)
    log::warn("alerts: {}: its limit of {} messages is reached; what changes until there is room is told together",
              label(*alert), alert->limit);
  for (const auto& [alert, count] : taken.dropped) {
    counts_[static_cast<size_t>(alert->kind)].dropped.fetch_add(count, std::memory_order_relaxed);
    log::warn("alerts: {}: {} more changes than can wait: only their number is told", label(*alert), count);
  }
  for (AlertBook::Due& due : taken.due) begin(std::move(due));
  const auto next = book_.next();
  if (!next) return due_.disarm();
  const uint64_t now = loop_.now();
  loop_.arm(due_, milliseconds(*next > now ? *next - now : 1));
}

void Alerts::begin(AlertBook::Due due) {
  ++sending_;
  if (due.alert->kind == config::Alert::Kind::exec) return run_program(std::move(due));
  if (!sender_) {
    sender_ = std::make_unique<AlertSender>([inbox = inbox_](AlertSender::Outcome outcome) {
      std::lock_guard lock(inbox->mutex);
      if (inbox->alerts == nullptr) return;
      // It may be gone when its loop gets to this.
      inbox->alerts->loop_.post([inbox, outcome = std::move(outcome)] {
        if (inbox->alerts == nullptr) return;
        inbox->alerts->ended(outcome.alert, *outcome.message, outcome.sent, true, outcome.why);
        inbox->alerts->pump();
      });
    });
  }
  auto message = std::make_shared<const AlertMessage>(std::move(due.message));
  if (!sender_->send({due.alert, message}))
    ended(due.alert, *message, false, true, "libcurl could not be started, or too much waits");
}

void Alerts::run_program(AlertBook::Due due) {
  Process::Options options;
  options.command = due.alert->command;
  options.environment = exec_environment(due.message);
  options.input = due.message.json();
  options.timeout = due.alert->timeout;
  auto run = std::make_unique<Run>();
  Run* key = run.get();
  run->alert = due.alert;
  auto message = std::make_shared<const AlertMessage>(std::move(due.message));
  auto started = Process::start(loop_, std::move(options), [this, key, message](const Process::Outcome& outcome) {
    const auto self = std::find_if(runs_.begin(), runs_.end(), [&](const auto& r) { return r.get() == key; });
    const std::unique_ptr<Run> done = std::move(*self);
    runs_.erase(self);
    // What a program has done before it failed is not known: it is not run twice.
    ended(done->alert, *message, outcome.ok(), false, outcome.text());
    pump();
  });
  if (!started) return ended(due.alert, *message, false, true, started.error().text());
  run->process = std::move(*started);
  runs_.push_back(std::move(run));
}

void Alerts::ended(const AlertBook::AlertPtr& alert, const AlertMessage& message, bool sent, bool again,
                   const std::string& why) {
  --sending_;
  Counts& counts = counts_[static_cast<size_t>(alert->kind)];
  if (sent) {
    counts.sent.fetch_add(1, std::memory_order_relaxed);
    log::info("alerts: {}: told: {}", label(*alert), message.title());
    book_.sent(alert, loop_.now());
    save();
    return;
  }
  counts.failed.fetch_add(1, std::memory_order_relaxed);
  const size_t lost = book_.failed(alert, message, again && !stopping_, loop_.now(), unix_ms());
  counts.dropped.fetch_add(lost, std::memory_order_relaxed);
  log::error("alerts: {}: not told: {}: {}{}", label(*alert), message.title(), why,
             lost == 0 ? "; it is tried again" : "");
}

void Alerts::save() {
  if (file_.empty()) return;
  std::string text = book_.save();
  if (text == saved_) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  const Status written = write_atomically(file_, text, 0600, Existing::replace);
  if (!written && !save_failed_)
    log::warn("{}: after a restart certificates are told of again", written.error().text());
  save_failed_ = !written;
  if (written) saved_ = std::move(text);
}

void Alerts::stop(milliseconds grace) {
  stopping_ = true;
  due_.disarm();
  look_.disarm();
  if (sending_ > 0) {
    loop_.arm(stop_end_, grace);
    loop_.at_turn_end([this] {
      if (sending_ == 0) loop_.stop();
    });
    // Others may stop the loop, too.
    while (sending_ > 0 && stop_end_.armed()) loop_.run();
    loop_.at_turn_end({});
    stop_end_.disarm();
  }
  if (sending_ > 0)
    log::warn("alerts: {} message{} could not be sent before the end", sending_, sending_ == 1 ? "" : "s");
  if (const size_t left = book_.empty() ? 0 : book_.waiting(); left > 0)
    log::warn("alerts: {} change{} not told any more", left, left == 1 ? " is" : "s are");
  runs_.clear();
  sender_.reset();
}

void Alerts::on_deadline(Deadline& which) {
  if (&which == &stop_end_) return loop_.stop();
  if (&which == &look_) tell_of(certificate_ends(*snapshot_));
  pump();
}

}  // namespace sallyport
