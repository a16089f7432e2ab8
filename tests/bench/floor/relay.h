#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "loop.h"

namespace bench_floor {

/// How far one direction came: the source has no more for now; the destination takes no more for now; everything up to
/// the end of the source is with the destination; one of them is broken.
enum class Went { empty, full, ended, broken };

/// Takes bytes from one socket to another, and keeps those that the other does not take yet.
class Carrier {
 public:
  virtual ~Carrier() = default;
  /// `fin`: the end of the source has arrived, so that a read that comes back short is the last.
  virtual Went carry(int from, int to, bool fin) = 0;
};

/// A pair of sockets, closed together. Each direction ends by itself.
class Relay : public Session {
 public:
  Relay(Loop& loop, int client, int server, std::unique_ptr<Carrier> up, std::unique_ptr<Carrier> down);

 private:
  struct Side : Watcher {
    void ready(uint32_t events) override { relay->ready(*this, events); }
    Relay* relay = nullptr;
    Side* other = nullptr;
    int fd = -1;
    std::unique_ptr<Carrier> carrier;  // from here to the other side
    bool fin = false;
    bool ended = false;
    bool blocked = false;  // until the other side takes more
  };

  void ready(Side& side, uint32_t events);
  void run(Side& side);
  void close();

  Loop& loop_;
  Side client_;
  Side server_;
  bool closed_ = false;
};

/// With recv and send.
std::unique_ptr<Carrier> make_copy();
/// Within the kernel, through a pipe.
std::unique_ptr<Carrier> make_splice();

/// Sends as much of `bytes` as is taken and keeps the rest in `rest`, which comes first if it is not empty. False when
/// the socket is broken.
bool send_or_keep(int fd, const char* bytes, size_t size, bool last, std::string& rest);
inline bool send_rest(int fd, bool last, std::string& rest) { return send_or_keep(fd, "", 0, last, rest); }

}  // namespace bench_floor
