// The admin interface: a small HTTP server on the control thread, over loopback and a unix socket.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "admin/admin_api.h"
#include "admin/connection.h"
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

 private:
  class Listener;
  void listen(const std::string& text);

  Control& control_;
  IoContext io_;
  AdminApi api_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::string socket_path_;
};

}  // namespace sallyport
