// A snapshot without a gateway: for commands that look at the configuration by themselves.
#pragma once
#include <chrono>
#include <filesystem>
#include <memory>

#include "net/loop.h"
#include "runtime/snapshot.h"

namespace sallyport {

std::shared_ptr<const Snapshot> snapshot_offline(const std::filesystem::path& directory);
// Looks up the names of servers, as long as that takes and no longer than `most`. What has not been found then has no
// address.
void resolve_servers(const Snapshot& snapshot, std::chrono::milliseconds most);

// Runs a loop until done() says so, asked every few milliseconds, or the time is over.
template <class Done>
void run_until(Loop& loop, std::chrono::milliseconds most, Done done) {
  struct Clock final : Deadline::Owner {
    Clock(Loop& the_loop, std::chrono::milliseconds the_most, Done& the_done)
        : loop(the_loop), end(the_loop.now() + static_cast<uint64_t>(the_most.count())), is_done(the_done) {}
    void on_deadline(Deadline&) override {
      if (is_done() || loop.now() >= end) return loop.stop();
      loop.arm(deadline, std::chrono::milliseconds(20));
    }
    Loop& loop;
    uint64_t end;
    Done& is_done;
    Deadline deadline{*this};
  } clock(loop, most, done);
  loop.arm(clock.deadline, std::chrono::milliseconds(1));
  loop.run();
  clock.deadline.disarm();
}

}  // namespace sallyport
