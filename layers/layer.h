// What happens to a client connection once its first bytes are known. A layer is a folder with one or more Flows: a
// Flow is what one session is doing, on one worker; what it goes by (Service, ListenerRules) is in the snapshot, and
// constant.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/block_cache.h"
#include "demux/client_hello.h"
#include "demux/sniff.h"
#include "http/reply.h"
#include "layers/access_log.h"
#include "layers/service_use.h"
#include "layers/session_info.h"
#include "layers/tally.h"
#include "metrics/counters.h"
#include "metrics/service_stats.h"
#include "net/loop.h"
#include "transport/transport.h"
#include "upstream/worker_upstream.h"

namespace sallyport {

struct ListenerRules;
struct Service;
class ExchangePool;

// What the flows of one worker share. Outlives every session.
struct WorkerContext {
  IoContext& io;
  AccessLog& access_log;
  Counters& counters;
  unsigned number;  // of the worker: for what is counted by worker
  ExchangePool& exchanges;
  std::string scratch;  // what is being written to a server: empty between uses
  std::string reply;    // what is being written to a client: likewise
  http::Reply answer{};  // of our own, from where it is made to where it is written
  Tally tally{io.loop};
};

// What the demultiplexer found. The bytes it looked at are back in the transport.
struct Verdict {
  Sniff protocol = Sniff::other;
  ClientHello hello;  // of tls
};

class Flow;

// One client connection, as the layers see it; runtime's Session is the one implementation. Lives on one worker.
class Client {
 public:
  // The session goes on with another flow; the old one dies at the end of the turn. start() is called on the new one.
  virtual void become(std::unique_ptr<Flow> next) = 0;
  // Ends the session: the connection is closed as it is, and nothing of the flow may be touched after the caller
  // returned.
  virtual void end() = 0;
  // As end(), but what was written still arrives: sends FIN, reads and drops what comes, for a short while.
  virtual void end_lingering() = 0;
  // Of the snapshot that `listener` belongs to.
  virtual ServiceUse use(const Service& service) = 0;
  // True once this session should not take up anything new: stopping, or its listener is gone.
  virtual bool draining() const noexcept = 0;

  // This worker's, of the listener it came to.
  ListenerCounters& listener_counters() const;
  void count_request() const;
  // Counts why it, or its request, was turned away.
  void reject(Rejection reason) const;

  TransportPtr transport;
  WorkerContext* worker = nullptr;
  const ListenerRules* listener = nullptr;
  // Where it connected to, unmapped: the PROXY destination if there is one. Asked of the kernel when somebody wants to
  // know, as most connections never tell.
  const Address& local();
  Address peer;  // the client, unmapped: the PROXY source if there is one
  std::string sni;
  const std::atomic<uint32_t>* listener_connections = nullptr;  // open on its listener, over all workers
  uint64_t accepted_us = 0;
  int64_t handshake_ms = -1;
  bool tls = false;  // TLS ends here

 protected:
  ~Client() = default;
  void set_local(const Address& address) { local_ = address; }

 private:
  Address local_;
};

class Flow : public IoHandler, public Recycled {
 public:
  explicit Flow(Client& client) noexcept : client_(client) {}
  virtual ~Flow() = default;
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // Once, when the flow has become the session's. It takes the transport's events from here on.
  virtual void start() = 0;
  // Nothing new any more: an idle flow ends, a busy one ends when it is done. May be called more than once.
  virtual void drain() = 0;
  // A server whose sessions end when it goes down (health.on_down: close) did: what is carried to it ends now.
  virtual void server_down(const Endpoint&) {}
  // Log and end now: the drain time is over (End::drain), or somebody has asked for it (End::killed).
  virtual void abort(End why) = 0;
  // What is known beyond the client itself.
  virtual void describe(SessionInfo& info) const = 0;

  // A reload. Whether the session may go over to the new snapshot now, as the flow holds nothing of the old one but
  // ServiceUses; one that may not is asked again when it becomes another flow.
  virtual bool may_follow() const noexcept { return false; }
  // The session has gone over: `client.listener` is the new one.
  virtual void followed() {}
  // What belongs to nothing that is configured, since at least so long, is logged and ended.
  virtual void end_what_is_gone(uint64_t /*since_ms*/) {}

 protected:
  Client& client_;
};

// The key for hashes over the client's address.
uint64_t client_key(const Address& address) noexcept;

// What is open beside this client, for the log; service may be null.
AccessRecord::Counts counts_of(const Client& client, const Service* service) noexcept;

}  // namespace sallyport
