// Loops on threads of their own are the workers; one is held up by a message that does not return.
#include "runtime/watchdog.h"

#include <atomic>
#include <future>
#include <thread>

#include "catch.h"

namespace sallyport {
namespace {

using namespace std::chrono_literals;

struct FakeWorker {
  FakeWorker() : thread([this] { loop.run(); }) {}
  ~FakeWorker() {
    loop.post([this] { loop.stop(); });
    thread.join();
  }
  Loop loop;
  std::thread thread;
};

// The control loop, turning until something holds.
struct World final : private Deadline::Owner {
  bool until(std::function<bool()> what, std::chrono::milliseconds limit = 20s) {
    condition = std::move(what);
    end = Loop::precise_now() / 1000 + static_cast<uint64_t>(limit.count());
    loop.arm(tick, 10ms);
    loop.run();
    return condition();
  }
  void on_deadline(Deadline&) override {
    if (condition() || Loop::precise_now() / 1000 > end) return loop.stop();
    loop.arm(tick, 10ms);
  }
  Loop loop;
  std::function<bool()> condition;
  uint64_t end = 0;
  Deadline tick{*this};
};

}  // namespace

TEST_CASE("watchdog: life is told of again and again while all answer") {
  World world;
  FakeWorker one, two;
  int alive = 0;
  Watchdog watchdog(world.loop, [&alive] { ++alive; });
  watchdog.watch("worker-0", one.loop);
  watchdog.watch("worker-1", two.loop);
  watchdog.start(400ms);
  CHECK(world.until([&] { return alive >= 3; }));
  for (const auto& worker : watchdog.watched()) {
    CHECK_FALSE(worker.stuck);
    CHECK(worker.times_stuck == 0);
    CHECK(worker.worst_us >= worker.last_us);
  }
}

TEST_CASE("watchdog: one worker that does not answer silences it, and is named; then it goes on") {
  World world;
  FakeWorker one, two;
  int alive = 0;
  std::promise<void> go;
  Watchdog watchdog(world.loop, [&alive] { ++alive; });
  watchdog.watch("worker-0", one.loop);
  watchdog.watch("worker-1", two.loop);
  two.loop.post([held = go.get_future().share()] { held.wait(); });
  watchdog.start(200ms);
  REQUIRE(world.until([&] { return watchdog.watched()[1].stuck; }));
  CHECK(alive == 0);
  CHECK(watchdog.stuck()->name == "worker-1");
  CHECK_FALSE(watchdog.watched()[0].stuck);
  CHECK(watchdog.lag_us(1) >= 40'000);
  // However long it takes: told once, and no heap of questions.
  CHECK_FALSE(world.until([&] { return alive > 0 || watchdog.watched()[1].times_stuck > 1; }, 700ms));
  go.set_value();
  CHECK(world.until([&] { return alive >= 2; }));
  CHECK(watchdog.stuck() == nullptr);
  CHECK(watchdog.watched()[1].times_stuck == 1);
  CHECK(watchdog.watched()[1].worst_us >= 700'000);
  CHECK(watchdog.lag_us(1) < watchdog.watched()[1].worst_us);
}

TEST_CASE("watchdog: answers are timed when nobody waits for a sign of life too") {
  World world;
  FakeWorker one;
  int alive = 0;
  Watchdog watchdog(world.loop, [&alive] { ++alive; });
  watchdog.watch("worker-0", one.loop);
  CHECK(watchdog.lag_us(0) == 0);
  watchdog.start(std::nullopt);
  CHECK(world.until([&] { return watchdog.watched()[0].answered_round == 1; }));
  CHECK(watchdog.watched()[0].worst_us == watchdog.watched()[0].last_us);
  CHECK(alive == 0);
}

}  // namespace sallyport
