#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace bench_floor {

/// What epoll points to. It may be told of events for as long as it lives.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void ready(uint32_t events) = 0;
};

/// Does what is cheaper once for all events of a turn than once for each.
class Gatherer {
 public:
  virtual ~Gatherer() = default;
  virtual void turn_ends() = 0;
};

/// Lives until retired; then until the events that were fetched with its last one are through.
class Session {
 public:
  virtual ~Session() = default;
};

/// One thread, edge-triggered, each socket registered once for everything.
class Loop {
 public:
  Loop();
  /// Told of what is there already, too.
  void watch(int fd, Watcher* watcher);
  /// `accepted` gets each connection of this port of 127.0.0.1: not blocking, without Nagle's algorithm.
  template <typename Accepted>
  void listen(uint16_t port, Accepted accepted) {
    struct Listener : Watcher {
      Listener(int listening, Accepted to) : fd(listening), call(to) {}
      void ready(uint32_t) override {
        for (int client; (client = accept_one(fd)) >= 0;) call(client);
      }
      int fd;
      Accepted call;
    };
    int fd = listening(port);
    watchers_.push_back(std::make_unique<Listener>(fd, accepted));
    watch(fd, watchers_.back().get());
  }
  /// Calls it once, after the events of this turn.
  void at_turn_end(Gatherer* gatherer) { gathering_.push_back(gatherer); }
  void retire(Session* session) { retired_.emplace_back(session); }
  [[noreturn]] void run();

 private:
  static int listening(uint16_t port);
  static int accept_one(int fd);

  int epoll_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<Gatherer*> gathering_;
  std::vector<std::unique_ptr<Session>> retired_;
};

/// A connection to this port of 127.0.0.1, most often still under way: sending to it waits by itself.
int dial(uint16_t port);

/// A floor has no errors it can live with.
[[noreturn]] void give_up(const char* what);

}  // namespace bench_floor
