#include "runtime/alert_book.h"

#include <algorithm>
#include <iterator>

#include "base/format.h"

namespace sallyport {
namespace {

constexpr std::string_view kKept = "certificate ";

}  // namespace

uint64_t AlertBook::Subject::due() const noexcept {
  const uint64_t settle = std::min(kSettle << std::min(tellings > 0 ? tellings - 1 : 0u, 8u), kQuiet);
  return std::max(changed_ms + kGather, std::min(changed_ms + settle, told_ms + kQuiet));
}

uint64_t AlertBook::Receiver::limit_until() const noexcept {
  if (sent.size() < alert->limit) return 0;
  return sent.front() + static_cast<uint64_t>(alert->limit_time.count());
}

// The last state counts; how often it changed meanwhile is told with it.
void AlertBook::Receiver::add(const AlertChange& change) {
  const auto same = std::find_if(waiting.begin(), waiting.end(),
                                 [&](const AlertChange& other) { return other.subject == change.subject; });
  if (same != waiting.end()) {
    const uint32_t before = same->changes;
    *same = change;
    same->changes += before;
    return;
  }
  if (waiting.size() < kMostChanges) return waiting.push_back(change);
  ++omitted;
  ++dropped;
}

void AlertBook::configure(const std::vector<config::Alert>& alerts) {
  std::vector<Receiver> old;
  old.swap(receivers_);
  for (const config::Alert& alert : alerts) {
    const auto same =
        std::find_if(old.begin(), old.end(), [&](const Receiver& r) { return r.alert && *r.alert == alert; });
    if (same != old.end()) {
      receivers_.push_back(std::move(*same));
      same->alert = nullptr;
      continue;
    }
    Receiver& fresh = receivers_.emplace_back();
    fresh.alert = std::make_shared<const config::Alert>(alert);
    // The same one under other settings gets what the old one was still owed.
    for (Receiver& other : old) {
      if (!other.alert || other.alert->kind != alert.kind || other.alert->name != alert.name) continue;
      fresh.waiting = std::move(other.waiting);
      fresh.omitted = other.omitted;
      other.alert = nullptr;
      break;
    }
  }
}

void AlertBook::note(AlertChange change, uint64_t now) {
  auto it = subjects_.find(change.subject);
  if (it == subjects_.end()) {
    if (change.good) return;  // as one expects
    it = subjects_.emplace(change.subject, Subject()).first;
  } else if (it->second.current.fact == change.fact && it->second.current.good == change.good) {
    return;
  }
  Subject& subject = it->second;
  if (subject.changed_ms != 0 && now - subject.changed_ms >= kQuiet) subject.tellings = 0;
  subject.current = std::move(change);
  subject.changed_ms = now;
  ++subject.changes;
  if (!subject.pending() || subject.held()) return;
  if (opened_ms_ == 0) opened_ms_ = now;
  last_ms_ = now;
}

void AlertBook::forget_unless(const std::function<bool(const std::string& subject)>& stays) {
  for (auto it = subjects_.begin(); it != subjects_.end();) {
    if (stays(it->first)) {
      ++it;
      continue;
    }
    for (Receiver& receiver : receivers_)
      std::erase_if(receiver.waiting, [&](const AlertChange& change) { return change.subject == it->first; });
    it = subjects_.erase(it);
  }
}

uint64_t AlertBook::gather_end() const noexcept {
  return std::min(opened_ms_ + kMostGather, std::max(opened_ms_ + kGather, last_ms_ + kGatherMore));
}

void AlertBook::tell(Subject& subject, uint64_t now) {
  AlertChange change = subject.current;
  change.changes = std::max(subject.changes, 1u);
  for (Receiver& receiver : receivers_)
    if (change.event == 0 || (receiver.alert->on & change.event) != 0) receiver.add(change);
  subject.told_fact = subject.current.fact;
  subject.told_good = subject.current.good;
  subject.told_ms = now;
  subject.changes = 0;
  ++subject.tellings;
}

AlertBook::Taken AlertBook::take(uint64_t now, int64_t unix_ms) {
  const bool gathered = opened_ms_ != 0 && now >= gather_end();
  for (auto& [name, subject] : subjects_)
    if (subject.pending() && (subject.held() ? now >= subject.due() : gathered)) tell(subject, now);
  if (gathered) opened_ms_ = 0;

  Taken out;
  for (Receiver& receiver : receivers_) {
    if (receiver.dropped > 0) out.dropped.emplace_back(receiver.alert, std::exchange(receiver.dropped, 0));
    if (receiver.busy || !receiver.has_news() || now < receiver.paused_until) continue;
    if (now < receiver.limit_until()) {
      if (!std::exchange(receiver.limit_told, true)) out.limited.push_back(receiver.alert);
      continue;
    }
    receiver.limit_told = false;
    AlertMessage message;
    message.id = format("{:x}-{}", seed_, ++messages_);
    message.gateway = gateway_;
    message.time = unix_ms;
    message.changes.swap(receiver.waiting);
    // What one must act on comes first; else as it happened.
    std::stable_sort(message.changes.begin(), message.changes.end(), [](const AlertChange& a, const AlertChange& b) {
      return a.severity != b.severity ? a.severity > b.severity : a.time < b.time;
    });
    message.omitted = std::exchange(receiver.omitted, 0);
    receiver.busy = true;
    out.due.push_back({receiver.alert, std::move(message)});
  }
  return out;
}

AlertBook::Receiver* AlertBook::find(const AlertPtr& alert) noexcept {
  for (Receiver& receiver : receivers_)
    if (receiver.alert == alert) return &receiver;
  return nullptr;
}

void AlertBook::sent(const AlertPtr& alert, uint64_t now) {
  Receiver* receiver = find(alert);
  if (receiver == nullptr) return;
  receiver->busy = false;
  receiver->failures = 0;
  receiver->paused_until = 0;
  receiver->sent.push_back(now);
  while (receiver->sent.size() > alert->limit) receiver->sent.pop_front();
}

size_t AlertBook::failed(const AlertPtr& alert, AlertMessage message, bool again, uint64_t now, int64_t unix_ms) {
  size_t lost = message.changes.size() + message.omitted;
  Receiver* receiver = find(alert);
  if (receiver == nullptr) return lost;
  receiver->busy = false;
  receiver->paused_until = now + std::min(kPause << std::min(receiver->failures, 10u), kMostPause);
  ++receiver->failures;
  if (!again) return lost;
  lost = 0;
  std::vector<AlertChange> newer;
  newer.swap(receiver->waiting);
  for (AlertChange& change : message.changes) {
    // What has no subject any more went with its service.
    if (unix_ms - change.time > kTooOld)
      ++lost;
    else if (change.event == 0 || subjects_.contains(change.subject))
      receiver->waiting.push_back(std::move(change));
  }
  for (const AlertChange& change : newer) receiver->add(change);
  receiver->omitted += message.omitted;
  return lost;
}

std::optional<uint64_t> AlertBook::next() const {
  std::optional<uint64_t> at;
  const auto earlier = [&](uint64_t candidate) { at = at ? std::min(*at, candidate) : candidate; };
  if (opened_ms_ != 0) earlier(gather_end());
  for (const auto& [name, subject] : subjects_)
    if (subject.pending() && subject.held()) earlier(subject.due());
  for (const Receiver& receiver : receivers_)
    if (!receiver.busy && receiver.has_news()) earlier(receiver.free_at());
  return at;
}

size_t AlertBook::waiting() const noexcept {
  size_t count = 0;
  for (const auto& [name, subject] : subjects_) count += subject.pending() ? 1 : 0;
  for (const Receiver& receiver : receivers_) count += receiver.waiting.size() + receiver.omitted;
  return count;
}

std::string AlertBook::save() const {
  std::string out;
  for (const auto& [name, subject] : subjects_)
    if (!subject.told_good && name.starts_with(kKept) && name.find_first_of("\t\n") == std::string::npos)
      out += name + '\t' + subject.told_fact + '\n';
  return out;
}

void AlertBook::restore(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos || !line.starts_with(kKept) || tab + 1 == line.size()) continue;
    Subject& subject = subjects_[std::string(line.substr(0, tab))];
    subject.told_fact = line.substr(tab + 1);
    subject.told_good = false;
    // Until somebody looks, nothing has changed.
    subject.current.fact = subject.told_fact;
    subject.current.subject = line.substr(0, tab);
  }
}

}  // namespace sallyport
