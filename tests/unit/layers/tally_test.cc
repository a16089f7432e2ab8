#include "layers/tally.h"

#include "catch.h"

namespace sallyport {
namespace {

struct Counted final : Tally::Mover {
  void count_moved() override { ++counted; }
  int counted = 0;
};

struct Stop final : Deadline::Owner {
  explicit Stop(Loop& the_loop) : loop(the_loop) {}
  void on_deadline(Deadline&) override { loop.stop(); }
  Loop& loop;
  Deadline deadline{*this};
  void run_for(std::chrono::milliseconds time) {
    loop.arm(deadline, time);
    loop.run();
  }
};

}  // namespace

TEST_CASE("tally: who has moved something counts once, a second later; who has died does not") {
  Loop loop;
  Tally tally(loop);
  Stop stop(loop);
  Counted busy, quiet;
  {
    Counted dead;
    tally.moved(dead);
    tally.moved(busy);
    tally.moved(busy);
  }
  stop.run_for(std::chrono::milliseconds(300));
  CHECK(busy.counted == 0);
  stop.run_for(std::chrono::milliseconds(1'200));
  CHECK(busy.counted == 1);
  CHECK(quiet.counted == 0);
  tally.moved(busy);
  stop.run_for(std::chrono::milliseconds(1'300));
  CHECK(busy.counted == 2);
}

}  // namespace sallyport
