// One reload after the other: what asks for one while another is being prepared gets the next. On the control thread;
// the reading and building happens in the background.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "net/background.h"
#include "runtime/rebuild.h"

namespace sallyport {

class Reloader {
 public:
  using Done = std::function<void(const ReloadReport&)>;
  struct Hooks {
    std::function<RebuildInput()> input;
    // A reload has begun: its files are read from now on.
    std::function<void()> begin;
    // Makes what was built be what serves, and calls the function when all workers have it.
    std::function<void(Rebuilt, Done)> publish;
  };
  Reloader(Background& background, Hooks hooks) : background_(background), hooks_(std::move(hooks)) {}
  ~Reloader() { *alive_ = false; }
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // done: on this thread, once; may be empty. Never called if the gateway stops before.
  void reload(ReloadReport::By by, Done done);
  // Tells what a reload would do.
  void preview(Done done);
  bool busy() const noexcept { return busy_; }

 private:
  struct Wish {
    ReloadReport::By by;
    bool dry;
    Done done;
  };
  void next();
  void built(Rebuilt rebuilt, std::vector<Wish> wishes, int64_t started_us);

  Background& background_;
  Hooks hooks_;
  std::vector<Wish> wishes_;
  bool busy_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sallyport
