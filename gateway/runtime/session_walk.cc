#include "runtime/session_walk.h"

#include "runtime/worker.h"

namespace sallyport {

SessionWalk::SessionWalk(Worker& worker, Visit visit, Done done)
    : worker_(worker), visit_(std::move(visit)), done_(std::move(done)) {}

void SessionWalk::start() {
  next_ = worker_.first_session();
  on_run();
}

void SessionWalk::leaves(Session& session) {
  if (next_ == &session) next_ = worker_.next_session(session);
}

void SessionWalk::on_run() {
  for (int i = 0; i < kSlice && next_ != nullptr; ++i) {
    Session& session = *next_;
    next_ = worker_.next_session(session);
    if (!visit_(session)) return finish();
  }
  if (next_ != nullptr)
    worker_.loop().give_way(*this);
  else
    finish();
}

void SessionWalk::finish() {
  next_ = nullptr;
  static_cast<ListHook<SessionWalk>&>(*this).unlink();
  worker_.loop().bury(std::unique_ptr<Doomed>(this));
  done_();
}

}  // namespace sallyport
