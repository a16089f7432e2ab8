// The admin listener: a small HTTP server on the control thread, over loopback and a unix socket. Serves /health and
// /metrics.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "runtime/control.h"
#include "transport/transport.h"

namespace sallyport {

class AdminServer {
 public:
  // Binds what the configuration says. What cannot be bound is logged: the gateway serves all the same.
  explicit AdminServer(Control& control);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  struct Answer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
  };
  Answer answer(const std::string& method, const std::string& path) const;

 private:
  class Acceptor;
  class Connection;
  void listen(const std::string& address);

  Control& control_;
  IoContext io_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  List<Connection> connections_;
  size_t connection_count_ = 0;
  std::string socket_path_;
};

}  // namespace sallyport
