// Sessions of all workers, filtered and sorted: each worker looks through its own in slices and keeps what may be told.
// On the control thread; answers come later.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/json.h"
#include "base/address.h"
#include "base/result.h"
#include "runtime/control.h"

namespace sallyport {

enum class SessionSort : uint8_t { age, received, sent, idle, requests };
std::optional<SessionSort> session_sort(std::string_view word) noexcept;

struct SessionQuery {
  static constexpr size_t kMost = 10'000;
  std::string service, listener;
  std::optional<Network> client;
  SessionSort sort = SessionSort::age;
  size_t limit = 100;
};

// One session, as it was when its worker looked at it.
struct SessionRow {
  unsigned worker = 0;
  uint64_t id = 0;
  Address client;
  std::string listener, service, mode, server, sni, host, path;
  const char* protocol = "";
  const char* state = "";
  uint64_t age_ms = 0, idle_ms = 0;
  uint64_t received_bytes = 0, sent_bytes = 0, requests = 0, streams = 0;
};
Json session_json(const SessionRow& row, int64_t now_unix_ms);
std::string session_id(unsigned worker, uint64_t id);

struct SessionList {
  std::vector<SessionRow> rows;
  size_t total = 0;  // that match
};

// The `most` that come first by the sort, of as many as are offered.
class BestSessions {
 public:
  BestSessions(SessionSort sort, size_t most) : sort_(sort), most_(most) {}
  // What a row would be judged by, without making it.
  bool would_take(const SessionRow& numbers) const;
  void add(SessionRow row);
  std::vector<SessionRow> take_sorted();

 private:
  bool before(const SessionRow& a, const SessionRow& b) const noexcept;
  SessionSort sort_;
  size_t most_;
  std::vector<SessionRow> heap_;  // the last of those kept is on top
};

class SessionLister {
 public:
  explicit SessionLister(Control& control) : control_(control) {}
  // done: once, on the control thread; an error where a worker has not answered in time, or too many ask at once.
  void list(SessionQuery query, std::function<void(Result<SessionList>)> done);
  // Ends the session of this id. false: there is none.
  void kill(std::string_view id, std::function<void(Result<bool>)> done);

 private:
  static constexpr size_t kMostAtOnce = 8;
  // Somebody who waits for the workers.
  struct Waiting {
    virtual ~Waiting() = default;
  };
  struct Gathering;
  struct Killing;
  std::shared_ptr<Waiting> forget(const Waiting* which);
  Control& control_;
  std::vector<std::shared_ptr<Waiting>> waiting_;
};

}  // namespace sallyport
