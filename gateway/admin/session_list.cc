#include "admin/session_list.h"

#include <algorithm>
#include <charconv>

#include "admin/service_json.h"
#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kPatience{2'000};

Error unanswered() {
  return {Kind::timeout, Side::internal, Retry::no, 0, "a worker does not answer", {}};
}

Error busy() {
  return {Kind::limit, Side::internal, Retry::no, 0, "others are asking for sessions at the moment", {}};
}

std::string_view without_query(std::string_view path) noexcept { return path.substr(0, path.find_first_of("?#")); }

// What a session is judged by, and what costs nothing to know.
void fill_numbers(SessionRow& row, const Session& session, const SessionInfo& info, uint64_t now_ms, uint64_t now_us) {
  row.id = session.id();
  row.age_ms = now_us > session.accepted_us ? (now_us - session.accepted_us) / 1000 : 0;
  const uint64_t idle = now_ms > info.active_ms ? now_ms - info.active_ms : 0;
  row.idle_ms = info.active_ms == 0 ? row.age_ms : std::min(idle, row.age_ms);  // the two clocks tick apart
  row.received_bytes = session.transport ? session.transport->received() : 0;
  row.sent_bytes = session.transport ? session.transport->sent() : 0;
  row.requests = info.requests;
  row.streams = info.streams;
}

void fill_words(SessionRow& row, const Session& session, const SessionInfo& info) {
  row.client = session.peer;
  row.listener = session.listener->name;
  row.sni = session.sni;
  row.protocol = info.protocol;
  row.state = info.state;
  row.host = info.host;
  row.path = without_query(info.path);
  if (info.service != nullptr) {
    row.service = info.service->config.name;
    row.mode = info.service->mode();
  }
  if (info.endpoint != nullptr)
    info.endpoint->write_label(row.server);
  else
    row.server = info.server;
}

bool fits(const SessionQuery& query, const Session& session) noexcept {
  if (!query.listener.empty() && session.listener->name != query.listener) return false;
  return !query.client || query.client->contains(session.peer);
}

}  // namespace

std::optional<SessionSort> session_sort(std::string_view word) noexcept {
  if (word.empty() || word == "age") return SessionSort::age;
  if (word == "received") return SessionSort::received;
  if (word == "sent") return SessionSort::sent;
  if (word == "idle") return SessionSort::idle;
  if (word == "requests") return SessionSort::requests;
  return std::nullopt;
}

std::string session_id(unsigned worker, uint64_t id) { return format("{}-{:x}", worker, id); }

Json session_json(const SessionRow& row, int64_t now_unix_ms) {
  Json out;
  out["id"] = session_id(row.worker, row.id);
  out["client"] = row.client.is_ip() ? row.client.ip_text() : std::string("unix");
  out["listener"] = row.listener;
  if (row.protocol[0] != 0) out["protocol"] = row.protocol;
  if (!row.mode.empty()) out["mode"] = row.mode;
  out["state"] = row.state;
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  text("service", row.service);
  text("server", row.server);
  text("sni", row.sni);
  text("host", row.host);
  text("path", row.path);
  out["started"] = now_unix_ms - static_cast<int64_t>(row.age_ms);
  out["age_seconds"] = static_cast<double>(row.age_ms) / 1000;
  out["idle_seconds"] = static_cast<double>(row.idle_ms) / 1000;
  out["received_bytes"] = row.received_bytes;
  out["sent_bytes"] = row.sent_bytes;
  const std::string_view protocol = row.protocol;
  if (protocol == "h1" || protocol == "h2") out["requests"] = row.requests;
  if (protocol == "h2") out["streams"] = row.streams;
  return out;
}

// Among equals the oldest comes first.
bool BestSessions::before(const SessionRow& a, const SessionRow& b) const noexcept {
  const auto key = [&](const SessionRow& row) -> uint64_t {
    switch (sort_) {
      case SessionSort::age: return row.age_ms;
      case SessionSort::received: return row.received_bytes;
      case SessionSort::sent: return row.sent_bytes;
      case SessionSort::idle: return row.idle_ms;
      case SessionSort::requests: return row.requests;
    }
    return 0;
  };
  if (key(a) != key(b)) return key(a) > key(b);
  if (a.age_ms != b.age_ms) return a.age_ms > b.age_ms;
  return a.worker != b.worker ? a.worker < b.worker : a.id < b.id;
}

bool BestSessions::would_take(const SessionRow& numbers) const {
  return heap_.size() < most_ || (most_ > 0 && before(numbers, heap_.front()));
}

void BestSessions::add(SessionRow row) {
  const auto order = [this](const SessionRow& a, const SessionRow& b) { return before(a, b); };
  if (heap_.size() == most_) {
    if (!would_take(row)) return;
    std::pop_heap(heap_.begin(), heap_.end(), order);
    heap_.pop_back();
  }
  heap_.push_back(std::move(row));
  std::push_heap(heap_.begin(), heap_.end(), order);
}

std::vector<SessionRow> BestSessions::take_sorted() {
  std::sort_heap(heap_.begin(), heap_.end(), [this](const SessionRow& a, const SessionRow& b) { return before(a, b); });
  return std::move(heap_);
}

// What the workers find, until all have answered or the time is over. On the control thread; workers fill boxes of their
// own and post them here.
struct SessionLister::Gathering final : Waiting, Deadline::Owner {
  Gathering(SessionLister& the_owner, SessionSort sort, size_t limit, std::function<void(Result<SessionList>)> the_done)
      : owner(the_owner), best(sort, limit), done(std::move(the_done)) {}

  void got(SessionList& part) {
    total += part.total;
    for (SessionRow& row : part.rows) best.add(std::move(row));
    if (--missing == 0) end(SessionList{best.take_sorted(), total});
  }
  void on_deadline(Deadline&) override { end(unanswered()); }
  void end(Result<SessionList> result) {
    if (!done) return;
    deadline.disarm();
    const auto tell = std::exchange(done, nullptr);
    const auto self = owner.forget(this);  // lives until the caller is through with it
    tell(std::move(result));
  }

  SessionLister& owner;
  BestSessions best;
  std::function<void(Result<SessionList>)> done;
  Deadline deadline{*this};
  size_t missing = 0;
  size_t total = 0;
};

std::shared_ptr<SessionLister::Waiting> SessionLister::forget(const Waiting* which) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& one) { return one.get() == which; });
  std::shared_ptr<Waiting> self = std::move(*found);
  waiting_.erase(found);
  return self;
}

void SessionLister::list(SessionQuery query, std::function<void(Result<SessionList>)> done) {
  if (waiting_.size() >= kMostAtOnce) return done(busy());
  auto gathering = std::make_shared<Gathering>(*this, query.sort, query.limit, std::move(done));
  waiting_.push_back(gathering);
  gathering->missing = control_.workers().size();
  control_.loop().arm(gathering->deadline, kPatience);
  const std::weak_ptr<Gathering> back = gathering;
  for (const auto& owner : control_.workers()) {
    Worker* worker = owner.get();
    worker->post([worker, query, back, control = &control_] {
      struct Found {
        Found(SessionSort sort, size_t limit) : best(sort, limit) {}
        BestSessions best;
        size_t total = 0;
      };
      auto found = std::make_shared<Found>(query.sort, query.limit);
      const auto visit = [worker, query, found](Session& session) {
        if (!fits(query, session)) return true;
        SessionInfo info;
        info.wanted_service = query.service;
        session.describe(info);
        if (!query.service.empty() && (info.service == nullptr || info.service->config.name != query.service)) return true;
        ++found->total;
        SessionRow row;
        row.worker = worker->number();
        fill_numbers(row, session, info, worker->loop().now(), Loop::precise_now());
        if (!found->best.would_take(row)) return true;
        fill_words(row, session, info);
        found->best.add(std::move(row));
        return true;
      };
      worker->walk_sessions(visit, [found, back, control] {
        auto part = std::make_shared<SessionList>(SessionList{found->best.take_sorted(), found->total});
        control->loop().post([part, back] {
          if (const auto waiting = back.lock()) waiting->got(*part);
        });
      });
    });
  }
}

struct SessionLister::Killing final : Waiting, Deadline::Owner {
  Killing(SessionLister& the_owner, std::function<void(Result<bool>)> the_done)
      : owner(the_owner), done(std::move(the_done)) {}
  void on_deadline(Deadline&) override { end(unanswered()); }
  void end(Result<bool> result) {
    if (!done) return;
    deadline.disarm();
    const auto tell = std::exchange(done, nullptr);
    const auto self = owner.forget(this);
    tell(std::move(result));
  }
  SessionLister& owner;
  std::function<void(Result<bool>)> done;
  Deadline deadline{*this};
};

void SessionLister::kill(std::string_view id, std::function<void(Result<bool>)> done) {
  const size_t dash = id.find('-');
  uint64_t number = 0;
  const auto worker_number = parse_number(id.substr(0, dash));
  const std::string_view hex = dash == std::string_view::npos ? std::string_view() : id.substr(dash + 1);
  const auto parsed = std::from_chars(hex.data(), hex.data() + hex.size(), number, 16);
  if (!worker_number || hex.empty() || parsed.ec != std::errc() || parsed.ptr != hex.data() + hex.size() ||
      *worker_number >= control_.workers().size())
    return done(false);
  if (waiting_.size() >= kMostAtOnce) return done(busy());
  auto killing = std::make_shared<Killing>(*this, std::move(done));
  waiting_.push_back(killing);
  control_.loop().arm(killing->deadline, kPatience);
  Worker* worker = control_.workers()[*worker_number].get();
  worker->post([worker, number, back = std::weak_ptr<Killing>(killing), control = &control_] {
    auto found = std::make_shared<bool>(false);
    worker->walk_sessions(
        [number, found](Session& session) {
          if (session.id() != number) return true;
          *found = true;
          session.abort(End::killed);
          return false;
        },
        [found, back, control] {
          control->loop().post([was = *found, back] {
            if (const auto waiting = back.lock()) waiting->end(was);
          });
        });
  });
}

}  // namespace sallyport
