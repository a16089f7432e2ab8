// Looks at every session of a worker, so many a turn that nothing else waits for it noticeably. On the worker's thread;
// dies with the end of the walk, or with the worker.
#pragma once
#include <functional>

#include "net/loop.h"

namespace sallyport {

class Session;
class Worker;

class SessionWalk final : public ListHook<SessionWalk>, public Doomed, private Runnable {
 public:
  // May end the session. False: the walk is over.
  using Visit = std::function<bool(Session&)>;
  // Once, after the last visit; not if the worker ends before.
  using Done = std::function<void()>;
  static constexpr int kSlice = 1024;

  SessionWalk(Worker& worker, Visit visit, Done done);
  // Sessions that come from now on may or may not be visited.
  void start();
  // This one is about to leave the worker's list.
  void leaves(Session& session);

 private:
  void on_run() override;
  void finish();

  Worker& worker_;
  Visit visit_;
  Done done_;
  Session* next_ = nullptr;
};

}  // namespace sallyport
