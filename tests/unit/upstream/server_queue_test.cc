#include "upstream/server_queue.h"

#include <deque>
#include <thread>

#include "transport/io_world.h"

namespace sallyport {
namespace {

using namespace test;

std::shared_ptr<Endpoint> server(const std::shared_ptr<ServerQueue>& queue, uint32_t most, const char* name = "a") {
  config::Server written;
  written.text = written.name = name;
  written.host = "10.0.0.1";
  written.port = 80;
  written.max_connections = most;
  auto out = std::make_shared<Endpoint>(written, 0);
  out->queue = queue;
  return out;
}

struct Waiting final : SlotWaiter {
  void on_slot(ServerSlot got, HandedOver connection) override {
    slot = std::move(got);
    handed = std::move(connection);
    ++told;
  }
  ServerSlot slot;
  HandedOver handed;
  int told = 0;
};

struct World : IoWorld {
  // Messages are delivered by the loop.
  void deliver() {
    loop.post([this] { loop.stop(); });
    loop.run();
  }
  std::shared_ptr<ServerQueue> queue = std::make_shared<ServerQueue>();
};

}  // namespace

TEST_CASE("slots: as many as the server takes, and each once") {
  World world;
  auto endpoint = server(world.queue, 2);
  ServerSlot one, two, three;
  CHECK(ServerSlot::take(endpoint, one));
  CHECK(ServerSlot::take(endpoint, two));
  CHECK_FALSE(ServerSlot::take(endpoint, three));
  CHECK(endpoint->full());
  ServerSlot moved = std::move(one);
  CHECK_FALSE(one);
  CHECK(endpoint->slots_taken == 2);
  moved.release();
  moved.release();
  CHECK(endpoint->slots_taken == 1);
  CHECK(ServerSlot::take(endpoint, three));
  three = std::move(two);  // the one it held goes back
  CHECK(endpoint->slots_taken == 1);
  auto endless = server(nullptr, 0);
  ServerSlot none;
  CHECK(ServerSlot::take(endless, none));
  CHECK_FALSE(none);
  CHECK_FALSE(endless->full());
}

TEST_CASE("queue: who came first gets the first slot of a server it would go to") {
  World world;
  auto a = server(world.queue, 1, "a"), b = server(world.queue, 1, "b");
  ServerSlot of_a, of_b;
  REQUIRE(ServerSlot::take(a, of_a));
  REQUIRE(ServerSlot::take(b, of_b));
  Waiting any, only_b, late;
  CHECK(world.queue->join(world.loop, only_b, {b}, 10));
  CHECK(world.queue->join(world.loop, any, {a, b}, 10));
  CHECK(world.queue->join(world.loop, late, {a, b}, 10));
  CHECK(world.queue->waiting() == 3);
  of_a.release();
  world.deliver();
  CHECK(any.told == 1);
  CHECK(any.slot.endpoint() == a.get());
  CHECK(only_b.told == 0);
  of_b.release();
  world.deliver();
  CHECK(only_b.told == 1);
  CHECK(only_b.slot.endpoint() == b.get());
  any.slot.release();
  world.deliver();
  CHECK(late.told == 1);
  CHECK(world.queue->waiting() == 0);
}

TEST_CASE("queue: nobody overtakes, and a slot that is free at the time of joining is given at once") {
  World world;
  auto endpoint = server(world.queue, 1);
  ServerSlot held;
  REQUIRE(ServerSlot::take(endpoint, held));
  Waiting first;
  REQUIRE(world.queue->join(world.loop, first, {endpoint}, 10));
  held.release();
  ServerSlot newcomer;
  CHECK_FALSE(ServerSlot::take(endpoint, newcomer));
  world.deliver();
  CHECK(first.told == 1);
  first.slot.release();
  Waiting second;
  CHECK(world.queue->join(world.loop, second, {endpoint}, 10));
  world.deliver();
  CHECK(second.told == 1);
}

TEST_CASE("queue: it has an end, and who leaves makes room") {
  World world;
  auto endpoint = server(world.queue, 1);
  ServerSlot held;
  REQUIRE(ServerSlot::take(endpoint, held));
  auto leaver = std::make_unique<Waiting>();
  Waiting second, third;
  CHECK(world.queue->join(world.loop, *leaver, {endpoint}, 1));
  CHECK_FALSE(world.queue->join(world.loop, second, {endpoint}, 1));
  CHECK_FALSE(second.waiting());
  leaver.reset();
  CHECK(world.queue->waiting() == 0);
  CHECK(world.queue->join(world.loop, third, {endpoint}, 1));
  // It leaves while its slot is on the way.
  held.release();
  third.stop_waiting();
  world.deliver();
  CHECK(third.told == 0);
  CHECK(endpoint->slots_taken == 0);
}

TEST_CASE("queue: a connection goes with its slot to who waits on the same loop, and is closed for others") {
  World here;
  Loop elsewhere;
  auto endpoint = server(here.queue, 1);
  auto idle = [&](UniqueFd& far) {
    FdPair fds = unix_pair();
    far = std::move(fds.theirs);
    return here.transport(std::move(fds.ours));
  };
  UniqueFd far;
  {
    ServerSlot slot;
    REQUIRE(ServerSlot::take(endpoint, slot));
    TransportPtr transport = idle(far);
    CHECK_FALSE(here.queue->hand_over(here.loop, slot, transport, "key", 3));
    CHECK(transport != nullptr);
    Waiting waiter;
    REQUIRE(here.queue->join(here.loop, waiter, {endpoint}, 10));
    CHECK(here.queue->hand_over(here.loop, slot, transport, "key", 3));
    CHECK(waiter.told == 1);
    CHECK(waiter.slot);
    CHECK(waiter.handed.transport != nullptr);
    CHECK(waiter.handed.key == "key");
    CHECK(waiter.handed.generation == 3);
    CHECK(endpoint->slots_taken == 1);
  }
  CHECK(endpoint->slots_taken == 0);
  ServerSlot slot;
  REQUIRE(ServerSlot::take(endpoint, slot));
  TransportPtr transport = idle(far);
  Waiting waiter;
  REQUIRE(here.queue->join(elsewhere, waiter, {endpoint}, 10));
  CHECK(here.queue->hand_over(here.loop, slot, transport, "key", 3));
  CHECK(transport == nullptr);
  CHECK(waiter.told == 0);
  elsewhere.post([&] { elsewhere.stop(); });
  elsewhere.run();
  CHECK(waiter.told == 1);
  CHECK(waiter.slot);
}

TEST_CASE("queue: threads that take, wait and give back never hold more than there are") {
  constexpr int kThreads = 4, kRounds = 300;
  auto queue = std::make_shared<ServerQueue>();
  auto endpoint = server(queue, 2);
  std::atomic<int> inside{0}, most{0}, served{0};
  // As workers' loops: made and ended by one thread. libuv closes files past the thread sanitizer, which would take a
  // number that another thread is given again for a race.
  std::deque<Loop> loops(kThreads);
  std::vector<std::thread> threads;
  for (Loop& loop : loops)
    threads.emplace_back([&] {
      struct Worker final : SlotWaiter {
        std::function<void(ServerSlot)> got;
        void on_slot(ServerSlot slot, HandedOver) override { got(std::move(slot)); }
      } worker;
      int left = kRounds;
      std::function<void()> next;
      worker.got = [&](ServerSlot slot) {
        const int now = ++inside;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {}
        ++served;
        --inside;
        slot.release();
        loop.post(next);
      };
      next = [&] {
        if (left-- == 0) {
          loop.stop();
          return;
        }
        ServerSlot slot;
        if (ServerSlot::take(endpoint, slot))
          worker.got(std::move(slot));
        else if (!queue->join(loop, worker, {endpoint}, 100))
          FAIL("the queue is full");
      };
      loop.post(next);
      loop.run();
    });
  for (auto& thread : threads) thread.join();
  CHECK(served == kThreads * kRounds);
  CHECK(most <= 2);
  CHECK(endpoint->slots_taken == 0);
  CHECK(queue->waiting() == 0);
}

}  // namespace sallyport
