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

// left: what is open and was not taken by another bind of the new snapshot. Taken off it.
bool OpenListeners::keep_or_move(const std::shared_ptr<ListenerShare>& share, const config::Bind& bind,
                                 std::vector<Open>& left) {
  auto found = std::find_if(left.begin(), left.end(), [&](const Open& one) {
    return one.share == share && (one.handed_over || one.address == bind.text);
  });
  if (found == left.end())
    found = std::find_if(left.begin(), left.end(),
                         [&](const Open& one) { return !one.handed_over && one.address == bind.text; });
  if (found == left.end()) return false;
  if (found->share != share)
    for (const auto& worker : workers_)
      worker->post([&worker = *worker, from = found->share, address = found->address, to = share] {
        worker.move_listener(*from, address, to);
      });
  open_.push_back({share, found->address, found->handed_over});
  left.erase(found);
  return true;
}

void OpenListeners::close(const Open& gone) {
  log::info("listener \"{}\" is no longer on {}", gone.share->name, gone.address);
  for (const auto& worker : workers_)
    worker->post([&worker = *worker, share = gone.share, address = gone.address] {
      worker.close_listener(*share, address);
    });
}

OpenListeners::Change OpenListeners::follow(const Snapshot& snapshot) {
  Change change;
  std::vector<Open> left = std::move(open_);
  open_.clear();
  std::vector<FailedBind> failed_before = std::move(failed_);
  failed_.clear();
  std::vector<std::pair<std::shared_ptr<ListenerShare>, config::Bind>> missing;
  for (const auto& rules : snapshot.listeners) {
    const auto share = share_for(*rules);
    bool handed_over = false;
    for (auto one = left.begin(); one != left.end();) {
      if (one->share != share || !one->handed_over) {
        ++one;
        continue;
      }
      handed_over = true;
      open_.push_back(std::move(*one));
      one = left.erase(one);
    }
    if (handed_over || take_over(share)) continue;
    for (const config::Bind& bind : rules->config.binds)
      if (!keep_or_move(share, bind, left)) missing.emplace_back(share, bind);
  }
  // What goes makes room for what comes: ":443" for "10.0.0.6:443".
  for (const Open& gone : left) {
    change.closed.push_back(gone.address);
    close(gone);
  }
  opener_->forget_all_but(snapshot);
  for (const auto& [share, bind] : missing) {
    if (take_over_at(share, bind)) {
      change.opened.push_back(bind.text);
      continue;
    }
    const bool known = std::any_of(failed_before.begin(), failed_before.end(), [&, text = bind.text](const auto& one) {
      return one.bind.text == text;
    });
    const bool makes_room = std::any_of(left.begin(), left.end(), [&, port = bind.address.port()](const Open& one) {
      return one.address.ends_with(":" + std::to_string(port));
    });
    if (try_open(share, bind, !known && !makes_room))
      change.opened.push_back(bind.text);
    else if (makes_room)
      change.opened.push_back(bind.text);  // in a moment
    else
      change.failed.push_back(bind.text);
  }
  std::erase_if(shares_, [&](const auto& entry) {
    return std::none_of(snapshot.listeners.begin(), snapshot.listeners.end(),
                        [&](const auto& rules) { return rules->name == entry.first; });
  });
  if (failed_.empty()) {
    retry_.disarm();
  } else {
    soon_ = !left.empty();
    loop_.arm(retry_, soon_ ? kSoon : kAgain);
  }
  return change;
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
