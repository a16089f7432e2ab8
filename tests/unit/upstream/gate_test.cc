#include "upstream/gate.h"

#include <deque>
#include <optional>

#include "catch.h"

namespace sallyport {
namespace {

using namespace std::chrono_literals;

struct Asks final : Gate::Waiter {
  void on_seat(Gate::Seat given) override { seat = std::move(given); }
  Gate::Seat seat;
};

struct Alarm final : Deadline::Owner {
  Alarm(Loop& the_loop, std::chrono::milliseconds after) : loop(the_loop) { loop.arm(deadline, after); }
  void on_deadline(Deadline&) override { loop.stop(); }
  Loop& loop;
  Deadline deadline{*this};
};

void run_for(Loop& loop, std::chrono::milliseconds time) {
  Alarm alarm(loop, time);
  loop.run();
}

size_t seated(const std::deque<Asks>& all) {
  size_t count = 0;
  for (const Asks& one : all) count += one.seat ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("gate: up to the limit at once, then in order of arrival as seats come free") {
  Loop loop;
  Gate gate(loop, 2);
  Gate::Seat first = gate.try_take();
  Gate::Seat second = gate.try_take();
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(gate.try_take());
  Asks third, fourth;
  gate.wait(third);
  gate.wait(fourth);
  first.release();
  CHECK(third.seat);
  CHECK_FALSE(fourth.seat);
  CHECK_FALSE(gate.try_take());  // the one that waits goes first
  second.release();
  CHECK(fourth.seat);
  CHECK(gate.taken() == 2);
  third.seat.release();
  fourth.seat.release();
  CHECK(gate.taken() == 0);
  CHECK(gate.try_take());
}

TEST_CASE("gate: who has gone is passed over, and a seat that dies is handed on") {
  Loop loop;
  Gate gate(loop, 1);
  Asks last;
  {
    Gate::Seat held = gate.try_take();
    Asks gone;
    gate.wait(gone);
    gate.wait(last);
  }
  CHECK(last.seat);
  CHECK(gate.taken() == 1);
}

TEST_CASE("gate: where nothing comes free the limit gives way, and goes back when the crowd thins out") {
  Loop loop;
  Gate gate(loop, 8);
  std::deque<Gate::Seat> held;
  for (int i = 0; i < 8; ++i) held.push_back(gate.try_take());
  std::deque<Asks> crowd(20);
  for (Asks& one : crowd) gate.wait(one);
  CHECK(seated(crowd) == 0);
  for (int turns = 0; turns < 100 && seated(crowd) < crowd.size(); ++turns) run_for(loop, 100ms);
  CHECK(seated(crowd) == 20);
  CHECK(gate.taken() == 28);
  CHECK(gate.allowed() > 8);
  held.clear();
  crowd.clear();
  CHECK(gate.taken() == 0);
  CHECK(gate.allowed() == 8);
}

}  // namespace sallyport
