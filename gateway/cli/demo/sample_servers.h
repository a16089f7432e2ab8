// The servers behind the demo's gateway, on one thread with a loop of its own and free ports of 127.0.0.1.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli/demo/conversation.h"
#include "net/loop.h"
#include "transport/transport.h"

namespace sallyport::demo {

// A server's TLS, and the name it goes by: a client that asks for another one is refused.
struct SampleTls {
  SslCtxPtr context;  // null: no TLS
  std::string name;
};

class SampleServers {
 public:
  using Make = std::function<std::unique_ptr<Conversation>()>;

  SampleServers();
  // Stops and joins.
  ~SampleServers();
  SampleServers(const SampleServers&) = delete;
  SampleServers& operator=(const SampleServers&) = delete;

  // One more server. Returns its port. Before start().
  Result<uint16_t> add(Make make, SampleTls tls);
  void start();

 private:
  class Acceptor;
  class Connection;

  Loop loop_;
  IoContext io_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  List<Connection> connections_;
  std::thread thread_;
};

}  // namespace sallyport::demo
