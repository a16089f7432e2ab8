// A client and a server that are connected for good, and a relay between them: until both are done, one fails, or
// nothing has moved for the idle time. What an `ssh`, `tcp` or passthrough connection is once its server answers, and
// an HTTP one after 101.
#pragma once
#include <cstdint>
#include <optional>

#include "layers/layer.h"
#include "transport/relay.h"
#include "upstream/connector.h"

namespace sallyport {

class Tunnel final : public IoHandler,
                     public Recycled,
                     private Deadline::Owner,
                     private Runnable,
                     private Tally::Mover {
 public:
  class Owner {
   public:
    // Once, last: the sides have been told (a reset for a reset). The server's connection is still open; ending the
    // client's session ends it too.
    virtual void on_tunnel_over(End end, std::string_view reason) = 0;
    // Bytes have moved: to be counted, and nothing else.
    virtual void on_tunnel_moved() = 0;

   protected:
    ~Owner() = default;
  };

  // idle: zero is never. Takes the events of both transports from start() on.
  Tunnel(Client& client, ServerConnection&& server, config::Milliseconds idle, Owner& owner);

  // May end the owner.
  void start();
  // Nothing more happens here, whatever was due in this turn; the server's connection is closed, by a reset if one is
  // owed.
  void close();

  // Before close().
  uint64_t from_client() const noexcept { return relay_->from_client(); }
  uint64_t from_server() const noexcept { return relay_->from_server(); }
  // From the accept to the server's first byte; -1: none came.
  int64_t first_byte_us() const noexcept { return first_byte_us_; }
  int64_t first_byte_ms() const noexcept { return first_byte_us_ < 0 ? -1 : first_byte_us_ / 1000; }
  const ServerConnection& server() const noexcept { return server_; }
  // Of the loop's clock: when bytes moved last.
  uint64_t last_moved_ms() const noexcept { return last_moved_ms_; }

 private:
  void on_io() override {
    if (!gives_way()) pump();
  }
  void on_run() override { pump(); }
  void on_deadline(Deadline& which) override;
  void count_moved() override { owner_.on_tunnel_moved(); }
  void pump();
  void look();

  struct Look final : Runnable {
    explicit Look(Tunnel& the_tunnel) noexcept : tunnel(the_tunnel) {}
    void on_run() override { tunnel.look(); }
    Tunnel& tunnel;
  };

  Client& client_;
  ServerConnection server_;
  Owner& owner_;
  std::optional<Relay> relay_;  // gives its pipes back while both transports are still there
  Look look_{*this};
  Deadline deadline_;
  config::Milliseconds idle_;
  uint64_t moved_ = 0;
  uint64_t last_moved_ms_ = 0;
  int64_t first_byte_us_ = -1;
};

}  // namespace sallyport
