#include "base/log_courier.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/format.h"
#include "base/log.h"

namespace sallyport::log {
namespace {

constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::seconds kStallTold{5};   // a target that is only slow is told of after that
constexpr std::chrono::seconds kRecovered{2};   // as long without failure
constexpr std::chrono::seconds kDroppedTold{60};
constexpr std::chrono::seconds kLastWords{2};   // of a stop
constexpr size_t kKept = 256 * 1024;            // capacity of a batch that is kept
constexpr size_t kSlice = 256 * 1024;           // so much at once: a stop sees whether something moves

// The front of the lines, cut where an event ends.
std::string_view whole_events(std::string_view lines, Shape shape) noexcept {
  if (lines.size() <= kSlice) return lines;
  const std::string_view end = shape == Shape::fields ? "\n\n" : "\n";
  const size_t at = lines.find(end, kSlice);
  return at == std::string_view::npos ? lines : lines.substr(0, at + end.size());
}

}  // namespace

void LogQueue::add(const Piece& piece) {
  bytes += piece.lines;
  if (!marks.empty()) {
    Mark& last = marks.back();
    if (last.level == piece.level && last.access == piece.access && last.shape == piece.shape) {
      last.end = bytes.size();
      return;
    }
  }
  marks.push_back({bytes.size(), piece.level, piece.access, piece.shape});
}

void LogQueue::clear() noexcept {
  bytes.clear();
  marks.clear();
}

void Courier::run() {
  // Signals are the main thread's: one delivered here would be handled as if nobody waited for it.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "log");
  std::unique_lock lock(s_.mutex);
  sink_ = s_.sink;
  for (;;) {
    const auto due = [&] { return !s_.queue.bytes.empty() || s_.stopping || s_.reopen || s_.changed; };
    if (s_.dropped != told_dropped_) {
      s_.wake.wait_until(lock, next_told_dropped_, due);
    } else {
      s_.wake.wait(lock, due);
    }
    const bool last = s_.stopping && s_.queue.bytes.empty();
    if (s_.stopping && give_up_at_ == Clock::time_point::max()) give_up_at_ = Clock::now() + kLastWords;
    take_changes(lock);
    batch_.clear();
    std::swap(batch_, s_.queue);
    lock.unlock();
    const bool untold = s_.dropped != told_dropped_;
    if (untold && (last ? !stalled_ : Clock::now() >= next_told_dropped_)) tell_dropped();
    deliver();
    if (batch_.bytes.capacity() > kKept && batch_.bytes.size() < kKept / 2) batch_.bytes.shrink_to_fit();
    lock.lock();
    if (last && s_.queue.bytes.empty()) break;
  }
  if (const uint64_t lost = s_.dropped - told_dropped_; lost > 0)
    say(Level::warn, format("log target {}: {} line{} could not be written", sink_->name(), lost, lost == 1 ? "" : "s"));
  s_.ended = true;
  s_.done.notify_all();
}

// With the lock held, but for the sink's own work.
void Courier::take_changes(std::unique_lock<std::mutex>& lock) {
  if (s_.changed) {
    s_.changed = false;
    std::shared_ptr<Sink> before = std::move(sink_);
    sink_ = s_.sink;
    stalled_ = told_failure_ = false;
    lock.unlock();
    before.reset();
    lock.lock();
  }
  if (s_.reopen) {
    s_.reopen = false;
    lock.unlock();
    if (!sink_->reopen()) say(Level::warn, format("log target {} cannot be opened again: {}", sink_->name(), sink_->why()));
    lock.lock();
  }
}

void Courier::deliver() {
  size_t at = 0;
  for (const LogQueue::Mark& mark : batch_.marks) {
    deliver_rest({std::string_view(batch_.bytes).substr(at, mark.end - at), mark.level, mark.access, mark.shape});
    at = mark.end;
  }
}

void Courier::deliver_rest(const Piece& piece) {
  Piece rest = piece;
  for (;;) {
    const Piece slice{whole_events(rest.lines, rest.shape), rest.level, rest.access, rest.shape};
    const size_t taken = sink_->write(slice);
    s_.dropped += sink_->take_lost();
    if (taken > 0) s_.progress.fetch_add(1, std::memory_order_relaxed);
    rest.lines.remove_prefix(taken);
    if (taken == slice.lines.size()) {
      note_success();
      if (rest.lines.empty()) return;
      continue;
    }
    if (taken > 0) stalled_ = false;
    note_failure();
    if (!pause()) break;
  }
  s_.dropped += count_events(rest.lines, rest.shape);
}

bool Courier::pause() {
  std::unique_lock lock(s_.mutex);
  const bool knew_stop = s_.stopping;
  s_.wake.wait_for(lock, kRetry, [&] { return s_.reopen || s_.changed || s_.stopping != knew_stop; });
  take_changes(lock);
  if (!s_.stopping) return true;
  if (give_up_at_ == Clock::time_point::max()) give_up_at_ = Clock::now() + kLastWords;
  return Clock::now() < give_up_at_;
}

void Courier::note_failure() {
  const auto now = Clock::now();
  last_failure_ = now;
  if (!stalled_) stalled_since_ = now;
  stalled_ = true;
  if (told_failure_ || (sink_->why().empty() && now - stalled_since_ < kStallTold)) return;
  told_failure_ = true;
  say(Level::warn, format("log target {}: {}; lines wait in memory, up to 4 MiB of them", sink_->name(),
                          sink_->why().empty() ? "takes no lines" : sink_->why()));
}

void Courier::note_success() {
  stalled_ = false;
  if (!told_failure_ || Clock::now() - last_failure_ < kRecovered) return;
  told_failure_ = false;
  say(Level::info, format("log target {} takes lines again", sink_->name()));
}

// In the log itself, behind what found room: whoever reads it knows that something is missing, and about where.
void Courier::tell_dropped() {
  const uint64_t dropped = s_.dropped;
  const uint64_t fresh = dropped - std::exchange(told_dropped_, dropped);
  const Shape shape = sink_->shape();
  const std::string line = lifecycle_line(
      Level::warn, format("{} log line{} dropped: the target did not take them", fresh, fresh == 1 ? " was" : "s were"),
      shape);
  batch_.add({line, Level::warn, false, shape});
  next_told_dropped_ = Clock::now() + kDroppedTold;
}

// Beside the log, where it fails itself. One line, whether somebody reads it or not.
void Courier::say(Level level, std::string_view message) const {
  if (sink_->name() == "stderr") return;
  const std::string line = lifecycle_line(level, message, Shape::plain);
  [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
}

}  // namespace sallyport::log
