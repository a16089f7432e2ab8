#include "runtime/open_listeners.h"

#include <fcntl.h>

#include <algorithm>

#include "base/log.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kAgain{5'000};
// A socket that is closing may be in the way of one that takes its place.
constexpr std::chrono::milliseconds kSoon{100};

}  // namespace

std::shared_ptr<ListenerShare> OpenListeners::share_for(const ListenerRules& rules) {
  auto& share = shares_[rules.name];
  if (!share) {
    share = std::make_shared<ListenerShare>();
    share->name = rules.name;
  }
  share->max_connections.store(rules.config.max_connections, std::memory_order_relaxed);
  return share;
}

bool OpenListeners::open(const Snapshot& snapshot, unsigned workers, std::vector<InheritedSocket> inherited) {
  opener_ = std::make_unique<SocketOpener>(workers, std::move(inherited));
  opener_->forget_all_but(snapshot);
  std::vector<std::pair<std::shared_ptr<ListenerShare>, const ListenerRules*>> without;
  // Names first: a socket goes by its address only when no listener has its name.
  for (const auto& rules : snapshot.listeners)
    if (auto share = share_for(*rules); !take_over(share)) without.emplace_back(std::move(share), rules.get());
  for (const auto& [share, rules] : without)
    for (const config::Bind& bind : rules->config.binds)
      if (!take_over_at(share, bind)) try_open(share, bind, true);
  opener_->forget_the_rest();
  for (const std::string& socket : opener_->unused())
    log::warn("the socket {} was handed over, but no listener has that name or address", socket);
  return !open_.empty();
}

// A listener that sockets were handed over for binds nothing itself.
bool OpenListeners::take_over(const std::shared_ptr<ListenerShare>& share) {
  std::vector<OpenSocket> sockets = opener_->take_over(share);
  for (OpenSocket& socket : sockets) {
    open_.push_back({share, socket.address, true});
    deliver(std::move(socket));
  }
  return !sockets.empty();
}

bool OpenListeners::take_over_at(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind) {
  std::vector<OpenSocket> sockets = opener_->take_over_at(share, bind);
  if (!sockets.empty()) open_.push_back({share, bind.text, false});
  for (OpenSocket& socket : sockets) deliver(std::move(socket));
  return !sockets.empty();
}

bool OpenListeners::try_open(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind, bool tell) {
  auto socket = opener_->open(share, bind);
  if (socket) {
    open_.push_back({share, bind.text, false});
    deliver(std::move(*socket));
    return true;
  }
  std::string why = SocketOpener::explain(bind, socket.error());
  if (tell) log::error("listener \"{}\": {}", share->name, why);
  failed_.push_back({share, bind, std::move(why)});
  return false;
}

void OpenListeners::hand_out() {
  running_ = true;
  for (OpenSocket& socket : not_handed_out_) deliver(std::move(socket));
  not_handed_out_.clear();
  if (!failed_.empty()) loop_.arm(retry_, kAgain);
}

void OpenListeners::deliver(OpenSocket socket) {
  if (!running_) {
    not_handed_out_.push_back(std::move(socket));
    return;
  }
  log::info("listener \"{}\" on {}{}", socket.share->name, socket.address, socket.from);
  const auto give = [&socket](Worker& worker, UniqueFd fd) {
    // A message must be copyable: the descriptor travels in a shared box.
    auto box = std::make_shared<UniqueFd>(std::move(fd));
    worker.post([&worker, box, shared = socket.shared, share = socket.share, address = socket.address] {
      worker.add_listener(std::move(*box), shared, share, address);
    });
  };
  for (size_t i = 0; i < socket.fds.size(); ++i) {
    if (!socket.shared) {
      give(*workers_[i % workers_.size()], std::move(socket.fds[i]));
      continue;
    }
    for (const auto& worker : workers_) give(*worker, UniqueFd(fcntl(socket.fds[i].get(), F_DUPFD_CLOEXEC, 3)));
  }
}

void OpenListeners::Steps::before(Worker& worker) const {
  for (const Close& close : closes) worker.close_listener(*close.share, close.address);
}

void OpenListeners::Steps::after(Worker& worker) const {
  for (const Move& move : moves) worker.move_listener(*move.from, move.address, move.to);
}

bool OpenListeners::keep_or_move(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind, Steps& steps) {
  auto found = std::find_if(left_.begin(), left_.end(),
                            [&](const Open& one) { return one.share == share && one.address == bind.text; });
  if (found == left_.end())
    found = std::find_if(left_.begin(), left_.end(),
                         [&](const Open& one) { return !one.handed_over && one.address == bind.text; });
  if (found == left_.end()) return false;
  if (found->share != share) steps.moves.push_back({found->share, found->address, share});
  open_.push_back({share, found->address, found->handed_over});
  left_.erase(found);
  return true;
}

OpenListeners::Steps OpenListeners::begin(const Snapshot& snapshot) {
  Steps steps;
  left_ = std::move(open_);
  open_.clear();
  failed_before_ = std::move(failed_);
  failed_.clear();
  missing_.clear();
  for (const auto& rules : snapshot.listeners) {
    const auto share = share_for(*rules);
    bool handed_over = false;
    std::erase_if(left_, [&](Open& one) {
      if (one.share != share || !one.handed_over) return false;
      handed_over = true;
      open_.push_back(std::move(one));
      return true;
    });
    if (handed_over) continue;
    Missing missing{share, {}};
    for (const config::Bind& bind : rules->config.binds)
      if (!keep_or_move(share, bind, steps)) missing.binds.push_back(bind);
    if (!missing.binds.empty()) missing_.push_back(std::move(missing));
  }
  for (const Open& gone : left_) {
    log::info("listener \"{}\" is no longer on {}", gone.share->name, gone.address);
    steps.closes.push_back({gone.share, gone.address});
  }
  return steps;
}

OpenListeners::Change OpenListeners::finish(const Snapshot& snapshot) {
  Change change;
  for (const Open& gone : left_) change.closed.push_back(gone.address);
  opener_->forget_all_but(snapshot);
  for (const Missing& missing : missing_) {
    if (take_over(missing.share)) continue;
    for (const config::Bind& bind : missing.binds)
      (open_missing(missing.share, bind) ? change.opened : change.failed).push_back(bind.text);
  }
  std::erase_if(shares_, [&](const auto& entry) {
    return std::none_of(snapshot.listeners.begin(), snapshot.listeners.end(),
                        [&](const auto& rules) { return rules->name == entry.first; });
  });
  if (failed_.empty()) {
    retry_.disarm();
  } else {
    soon_ = !left_.empty();
    loop_.arm(retry_, soon_ ? kSoon : kAgain);
  }
  left_.clear();
  missing_.clear();
  failed_before_.clear();
  return change;
}

// True: it is open, or will be in a moment, when what is in its way has closed: ":443" for "10.0.0.6:443".
bool OpenListeners::open_missing(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind) {
  if (take_over_at(share, bind)) return true;
  const bool known = std::any_of(failed_before_.begin(), failed_before_.end(),
                                 [&](const FailedBind& one) { return one.bind.text == bind.text; });
  const bool makes_room = std::any_of(left_.begin(), left_.end(), [&](const Open& one) {
    return one.address.ends_with(":" + std::to_string(bind.address.port()));
  });
  return try_open(share, bind, !known && !makes_room) || makes_room;
}

void OpenListeners::on_deadline(Deadline&) {
  std::vector<FailedBind> again = std::move(failed_);
  failed_.clear();
  for (const FailedBind& one : again) try_open(one.share, one.bind, soon_);
  soon_ = false;
  if (!failed_.empty()) loop_.arm(retry_, kAgain);
}

std::vector<OpenListeners::State> OpenListeners::states() const {
  std::vector<State> out;
  for (const Open& one : open_) out.push_back({one.share->name, one.address, {}, one.handed_over});
  for (const FailedBind& one : failed_) out.push_back({one.share->name, one.bind.text, one.why, false});
  return out;
}

const ListenerShare* OpenListeners::share(std::string_view listener) const noexcept {
  const auto found = shares_.find(listener);
  return found == shares_.end() ? nullptr : found->second.get();
}

}  // namespace sallyport
