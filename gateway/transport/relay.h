// Moves bytes between two transports, both ways, until both have ended. Half-closes are passed on. Copies through the
// worker's buffer; a direction that has proven to be bulk between two plain sockets goes through a kernel pipe instead
// (splice(2)).
#pragma once
#include <cstdint>
#include <memory>

#include "net/pipe.h"
#include "transport/transport.h"

namespace sallyport {

// Owned by a flow, which also owns the transports, keeps the deadline, and calls pump() whenever either has an event.
class Relay {
 public:
  enum class State : uint8_t {
    running,        // waits for an event
    again,          // the budget is spent: call again when others had their turn
    done,           // both directions ended cleanly and everything was sent
    client_failed,  // reset, cut or TLS error on that side: error() tells; the other side is owed a reset
    server_failed,
  };

  Relay(Transport& client, Transport& server) noexcept;
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  State pump();
  // A direction that moves a gigabit a second and more has its socket wait until much has come together. While this is
  // so, look() is to be called every millisecond or so; true: what came is less than that, so pump().
  bool patient() const noexcept { return up_.patient || down_.patient; }
  bool look() noexcept;
  const Error& error() const noexcept { return error_; }
  uint64_t from_client() const noexcept { return up_.moved; }
  uint64_t from_server() const noexcept { return down_.moved; }
  bool client_ended() const noexcept { return up_.eof; }
  bool server_ended() const noexcept { return down_.eof; }

 private:
  struct Direction {
    Transport* from;
    Transport* to;
    uint64_t moved = 0;
    uint64_t streak = 0;  // bytes moved by reads that filled their buffer well: what makes a direction bulk
    std::unique_ptr<Pipe> pipe;
    bool eof = false;
    bool stalled = false;  // above the high mark, until below the low one
    bool no_splice = false;
    bool patient = false;
    uint64_t moved_ms = 0;  // when it moved last
    uint64_t pace_from = 0, pace_ms = 0;  // how much had been moved, and when: where its pace is measured from
  };
  enum class Step : uint8_t { idle, budget, from_failed, to_failed };

  Step move(Direction& direction, size_t& budget);
  Step move_spliced(Direction& direction, size_t& budget);
  Step copy_instead(Direction& direction);
  void end(Direction& direction);
  void note_question() noexcept;
  void note_pace(Direction& direction) noexcept;
  bool wants_splice(const Direction& direction) const noexcept;
  void release_pipe(Direction& direction) noexcept;
  State failed(Direction& direction, bool from_side) noexcept;

  PipePool& pipes_;  // its own hold on it: the transports may die before the relay
  Direction up_;     // client to server
  Direction down_;   // server to client
  bool down_first_ = false;
  uint64_t answered_ = 0;  // how much the server had sent when the client spoke last
  int splice_sys_ = 0;  // errno of a splice that found a connection gone
  Error error_;
};

}  // namespace sallyport
