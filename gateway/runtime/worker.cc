#include "runtime/worker.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"

namespace sallyport {
namespace {

// Of HTTP/1.1 connections to one server, from one of so many workers: together they stay below the 768 that nginx takes
// in its package's configuration.
size_t soft_limit(unsigned workers) noexcept { return std::clamp<size_t>(512 / std::max(1U, workers), 32, 512); }

struct BuriedService final : Doomed {
  explicit BuriedService(std::unique_ptr<WorkerService> the_service) noexcept : service(std::move(the_service)) {}
  std::unique_ptr<WorkerService> service;
};

}  // namespace

Worker::Worker(unsigned number, GatewayLimits& limits, Hooks hooks)
    : number_(number),
      limits_(limits),
      hooks_(std::move(hooks)),
      io_(loop_),
      access_log_(&limits.connections),
      exchanges_(io_.chunks),
      context_{io_, access_log_, counters_, number, exchanges_, {}, {}},
      upstream_context_{&io_, &tls_sessions_, hooks_.connect_failed, soft_limit(limits.workers), number} {
  loop_.at_turn_end([this] { end_of_turn(); });
}

Worker::~Worker() = default;

void Worker::start() {
  // Signals are the control thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(number_)).c_str());
    loop_.run();
    // What is left dies on the thread it lived on.
    while (SessionWalk* walk = walks_.pop_front()) delete walk;
    while (Session* session = sessions_.front()) session->end();
    listeners_.clear();
    loop_.purge();
    retired_.clear();
    services_.clear();
    loop_.purge();
    views_.clear();
    access_log_.hand_over();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::publish(std::shared_ptr<const Snapshot> snapshot) {
  access_log_.configure(snapshot->config.gateway.logs);
  if (view_ != nullptr) {
    view_->retired = true;
    view_->retired_ms = loop_.now();
  }
  views_.push_back(std::make_unique<SnapshotView>(std::move(snapshot)));
  view_ = views_.back().get();
  retire_services();
  for (Session* session = sessions_.front(); session != nullptr;) {
    Session* next = sessions_.next(*session);
    session->follow(*view_);
    session = next;
  }
  watch_for_gone();
}

void Worker::retire_services() {
  const Snapshot& fresh = *view_->snapshot;
  for (size_t slot = 0; slot < services_.size(); ++slot) {
    auto& entry = services_[slot];
    if (!entry || (slot < fresh.slots.size() && fresh.slots[slot] == entry->service.get())) continue;
    entry->retired = true;
    entry->retired_ms = loop_.now();
    retired_.push_back(std::move(entry));
  }
  services_.resize(fresh.slots.size());
  for (auto& old : retired_) {
    auto successor = fresh.service(old->service->config.name);
    if (successor == old->successor) continue;
    old->successor = std::move(successor);
    old->retired_ms = loop_.now();
    old->swept = false;
  }
}

ServiceUse Worker::use(const Service& service) {
  const auto make = [&] {
    return std::make_unique<WorkerService>(service.shared_from_this(), upstream_context_, number_);
  };
  const auto& slots = view_->snapshot->slots;
  if (service.slot < slots.size() && slots[service.slot] == &service) {
    auto& entry = services_[service.slot];
    if (!entry) entry = make();
    return ServiceUse(*entry);
  }
  // A session that could not go over yet: it was in its handshake when the snapshot changed.
  for (const auto& old : retired_)
    if (old->service.get() == &service) return ServiceUse(*old);
  retired_.push_back(make());
  WorkerService& late = *retired_.back();
  late.retired = true;
  late.retired_ms = loop_.now();
  late.successor = view_->snapshot->service(service.config.name);
  watch_for_gone();
  return ServiceUse(late);
}

void Worker::on_deadline(Deadline&) { end_what_is_gone(); }

// When the time of what went next is over. Each is looked for once: what a changed service still carries then may live on.
void Worker::watch_for_gone() {
  const auto limit = static_cast<uint64_t>(view_->snapshot->config.gateway.drain_timeout.count());
  uint64_t due = UINT64_MAX;
  for (const auto& old : retired_)
    if (!old->swept) due = std::min(due, old->retired_ms + limit);
  for (const auto& view : views_)
    if (view->retired && view->sessions > 0 && !view->swept) due = std::min(due, view->retired_ms + limit);
  if (due == UINT64_MAX) return gone_.disarm();
  const uint64_t now = loop_.now();
  loop_.arm(gone_, std::chrono::milliseconds(due > now ? due - now : 1));
}

// What is in flight for a service, a server of one, or a listener that went with a reload had its time.
void Worker::end_what_is_gone() {
  const auto limit = static_cast<uint64_t>(view_->snapshot->config.gateway.drain_timeout.count());
  for (Session* session = sessions_.front(); session != nullptr;) {
    Session* next = sessions_.next(*session);
    session->end_what_is_gone(limit);
    session = next;
  }
  const uint64_t now = loop_.now();
  for (const auto& old : retired_)
    if (now - old->retired_ms >= limit) old->swept = true;
  for (const auto& view : views_)
    if (view->retired && now - view->retired_ms >= limit) view->swept = true;
  watch_for_gone();
}

void Worker::left_behind(SnapshotView& view) {
  view.swept = false;
  watch_for_gone();
}

void Worker::add_listener(UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share, std::string address) {
  shares_.push_back(share);
  auto listener = std::make_unique<Listener>(*this, std::move(fd), shared, std::move(share), std::move(address));
  if (auto started = listener->start(); !started) {
    log::error("listener \"{}\": {}", listener->name(), started.error().text());
    return;
  }
  listeners_.push_back(std::move(listener));
}

void Worker::close_listener(const ListenerShare& share, const std::string& address) {
  for (auto& listener : listeners_) {
    if (!listener->belongs_to(share) || listener->address() != address) continue;
    listener->close_after_accepting();
    loop_.bury(std::move(listener));
  }
  std::erase(listeners_, nullptr);
}

void Worker::move_listener(const ListenerShare& from, const std::string& address,
                           const std::shared_ptr<ListenerShare>& to) {
  shares_.push_back(to);
  for (auto& listener : listeners_)
    if (listener->belongs_to(from) && listener->address() == address) listener->move_to(to);
}

bool Worker::accepted(UniqueFd fd, const Address& peer, ListenerShare& share) {
  const ListenerRules* rules = view_->rules(share.name);
  if (rules == nullptr) return false;
  auto transport = Transport::make(io_, std::move(fd), true);
  if (!transport) {
    log::error("listener \"{}\": {}", share.name, transport.error().text());
    return false;
  }
  if (in_container() && rules->config.accept_proxy.empty() && share.clients.all_alike(peer.unmapped()))
    log::warn("all clients of listener \"{}\" so far have the address {}: the container's port forwarding hides who they "
              "are. Socket activation keeps their addresses, see \"Client addresses\" in docs/operations.md",
              share.name, peer.unmapped().ip_text());
  auto* session = new Session(*this, *view_, *rules, std::move(*transport), peer.unmapped(), &share.connections,
                              next_session_id_++);
  sessions_.push_back(*session);
  ++session_count_;
  session->start();
  return true;
}

void Worker::session_ended(SnapshotView& view) {
  --view.sessions;
  --session_count_;
  limits_.connections.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::drain() {
  if (draining_) return;
  draining_ = true;
  for (auto& listener : listeners_) {
    listener->close_after_accepting();
    loop_.bury(std::move(listener));
  }
  listeners_.clear();
  for (Session* session = sessions_.front(); session != nullptr;) {
    Session* next = sessions_.next(*session);
    session->drain();
    session = next;
  }
}

void Worker::abort_sessions() {
  while (Session* session = sessions_.front()) session->abort(End::drain);
}

void Worker::close_sessions_of(const Endpoint& endpoint) {
  for (Session* session = sessions_.front(); session != nullptr;) {
    Session* next = sessions_.next(*session);
    session->server_down(endpoint);
    session = next;
  }
}

void Worker::walk_sessions(SessionWalk::Visit visit, SessionWalk::Done done) {
  auto* walk = new SessionWalk(*this, std::move(visit), std::move(done));
  walks_.push_back(*walk);
  walk->start();
}

void Worker::session_leaves(Session& session) {
  for (SessionWalk* walk = walks_.front(); walk != nullptr; walk = walks_.next(*walk)) walk->leaves(session);
}

void Worker::end_of_turn() {
  access_log_.hand_over();
  counters_.chunks.set(io_.chunks.in_use());
  const uint64_t now_us = Loop::precise_now();
  counters_.turns.observe(now_us, now_us - loop_.turn_began_us());
  if (draining_ && session_count_ == 0 && !told_drained_) {
    told_drained_ = true;
    if (hooks_.drained) hooks_.drained();
  }
  // Behind whatever of theirs dies in this turn.
  std::erase_if(retired_, [this](auto& old) {
    if (old->uses != 0) return false;
    loop_.bury(std::make_unique<BuriedService>(std::move(old)));
    return true;
  });
  if (views_.size() > 1)
    std::erase_if(views_, [this](const auto& view) {
      if (!view->retired || view->sessions != 0) return false;
      if (hooks_.dropped) hooks_.dropped(std::move(view->snapshot));
      return true;
    });
  if (shares_.size() > listeners_.size() + 16)
    std::erase_if(shares_, [this](const auto& share) {
      return share->connections.load() == 0 && std::none_of(listeners_.begin(), listeners_.end(), [&](const auto& l) {
               return l->belongs_to(*share);
             });
    });
}

}  // namespace sallyport
