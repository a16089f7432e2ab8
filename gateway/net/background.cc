#include "net/background.h"

#include <utility>

#include "net/loop.h"

namespace sallyport {
namespace {

struct Work {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
};

}  // namespace

void run_in_background(Loop& loop, std::function<void()> work, std::function<void()> done) {
  auto* task = new Work;
  task->work = std::move(work);
  task->done = std::move(done);
  task->request.data = task;
  uv_queue_work(
      loop.uv(), &task->request, [](uv_work_t* request) { static_cast<Work*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        auto* finished = static_cast<Work*>(request->data);
        finished->done();
        delete finished;
      });
}

}  // namespace sallyport
