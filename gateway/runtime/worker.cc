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

}  // namespace

Worker::Worker(unsigned number, GatewayLimits& limits, Hooks hooks)
    : number_(number),
      limits_(limits),
      hooks_(std::move(hooks)),
      io_(loop_),
      access_log_(true),
      exchanges_(io_.chunks),
      context_{io_, access_log_, counters_, number, exchanges_, {}, {}},
      upstream_context_{&io_, &tls_sessions_, hooks_.connect_failed, soft_limit(limits.workers)} {
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
    while (Session* session = sessions_.front()) session->end();
    listeners_.clear();
    loop_.purge();
    views_.clear();
    loop_.purge();
    access_log_.hand_over();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::publish(std::shared_ptr<const Snapshot> snapshot) {
  access_log_.set_enabled(snapshot->config.gateway.logs.access);
  if (view_ != nullptr) view_->retired = true;
  views_.push_back(std::make_unique<SnapshotView>(std::move(snapshot), upstream_context_, number_));
  view_ = views_.back().get();
}

void Worker::add_listener(UniqueFd fd, bool shared, std::shared_ptr<ListenerShare> share) {
  shares_.push_back(share);
  auto listener = std::make_unique<Listener>(*this, std::move(fd), shared, std::move(share));
  if (auto started = listener->start(); !started) {
    log::error("listener \"{}\": {}", listener->name(), started.error().text());
    return;
  }
  listeners_.push_back(std::move(listener));
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
  auto* session = new Session(*this, *view_, *rules, std::move(*transport), peer.unmapped(), &share.connections);
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
  while (Session* session = sessions_.front()) session->abort();
}

void Worker::close_sessions_of(const Endpoint& endpoint) {
  for (Session* session = sessions_.front(); session != nullptr;) {
    Session* next = sessions_.next(*session);
    session->server_down(endpoint);
    session = next;
  }
}

void Worker::end_of_turn() {
  access_log_.hand_over();
  if (draining_ && session_count_ == 0 && !told_drained_) {
    told_drained_ = true;
    if (hooks_.drained) hooks_.drained();
  }
  std::erase_if(views_, [](const auto& view) { return view->retired && view->sessions == 0; });
}

}  // namespace sallyport
