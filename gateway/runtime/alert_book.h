// Decides what is told to whom, and when: what changes together is one message, what changes back and forth is told
// once it stays, and nobody gets more messages than they asked for. What could not be told yet waits here in its last
// state, so the last state is always told. Knows no clock and no network: times come in, messages go out.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model.h"
#include "runtime/alert_message.h"

namespace sallyport {

class AlertBook {
 public:
  // The first change opens a message; it is closed after kGather, or later while more come in, after kMostGather.
  static constexpr uint64_t kGather = 5'000;
  static constexpr uint64_t kGatherMore = 2'500;
  static constexpr uint64_t kMostGather = 15'000;
  // What was told and changes again within kQuiet is told when it has stayed so for a while: kSettle, and twice as long
  // each time; or when kQuiet is over.
  static constexpr uint64_t kQuiet = 300'000;
  static constexpr uint64_t kSettle = 30'000;
  // A receiver that failed is tried again after kPause, twice as long each time, up to kMostPause.
  static constexpr uint64_t kPause = 300'000;
  static constexpr uint64_t kMostPause = 3'600'000;
  static constexpr size_t kMostChanges = 500;  // that wait for one receiver
  static constexpr int64_t kTooOld = 24 * 3'600'000;

  using AlertPtr = std::shared_ptr<const config::Alert>;

  // gateway: the name of this host. seed: makes the messages' ids differ from those of another run.
  AlertBook(std::string gateway, uint64_t seed) : gateway_(std::move(gateway)), seed_(seed) {}

  // Receivers that stay as they are keep what waits for them.
  void configure(const std::vector<config::Alert>& alerts);
  bool empty() const noexcept { return receivers_.empty(); }

  // This is so now. Times in ms: now of a clock that never goes back, change.time of the world's.
  void note(AlertChange change, uint64_t now);
  // Whom it concerns may be gone: nothing is told of it any more, and it begins as good when it comes back.
  void forget_unless(const std::function<bool(const std::string& subject)>& stays);

  struct Due {
    AlertPtr alert;
    AlertMessage message;
  };
  struct Taken {
    std::vector<Due> due;
    std::vector<AlertPtr> limited;                     // have news that their limit holds back; told once each time
    std::vector<std::pair<AlertPtr, size_t>> dropped;  // changes of which only the number is told
  };
  // Messages to send now. A receiver gets one at a time: it is busy until sent() or failed().
  Taken take(uint64_t now, int64_t unix_ms);
  // Counts as told.
  void sent(const AlertPtr& alert, uint64_t now);
  // again: what it said waits for the next try; otherwise it is lost. Returns how many changes are lost.
  size_t failed(const AlertPtr& alert, AlertMessage message, bool again, uint64_t now, int64_t unix_ms);
  // When take() has something to give at the earliest; nullopt: not before another call.
  std::optional<uint64_t> next() const;
  // Changes that were not told yet, for all receivers together.
  size_t waiting() const noexcept;

  // What was told about certificates, a line each, and the other way round: a restart tells nothing twice.
  std::string save() const;
  void restore(std::string_view text);

 private:
  struct Subject {
    AlertChange current;
    std::string told_fact;  // empty: the good one
    uint64_t changed_ms = 0;
    uint64_t told_ms = 0;   // 0: never in this run
    uint32_t tellings = 0;  // since it was quiet for the last time
    uint32_t changes = 0;   // since it was told
    bool told_good = true;
    bool pending() const noexcept { return told_good ? !current.good : current.fact != told_fact; }
    bool held() const noexcept { return told_ms != 0 && changed_ms - told_ms < kQuiet; }
    uint64_t due() const noexcept;  // of one that is held
  };
  struct Receiver {
    AlertPtr alert;
    std::vector<AlertChange> waiting;  // one for each subject
    uint64_t omitted = 0;
    size_t dropped = 0;         // not yet reported
    std::deque<uint64_t> sent;  // when, the last `limit` of them
    uint64_t paused_until = 0;
    uint32_t failures = 0;  // in a row
    bool busy = false;
    bool limit_told = false;
    bool has_news() const noexcept { return !waiting.empty() || omitted > 0; }
    uint64_t limit_until() const noexcept;  // 0: there is room
    uint64_t free_at() const noexcept { return std::max(paused_until, limit_until()); }
    void add(const AlertChange& change);
  };

  uint64_t gather_end() const noexcept;
  void tell(Subject& subject, uint64_t now);
  Receiver* find(const AlertPtr& alert) noexcept;

  std::string gateway_;
  uint64_t seed_;
  uint64_t messages_ = 0;
  std::map<std::string, Subject> subjects_;
  std::vector<Receiver> receivers_;
  uint64_t opened_ms_ = 0;  // when the first of what is gathered came; 0: nothing is
  uint64_t last_ms_ = 0;    // when the last did
};

}  // namespace sallyport
