#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "loop.h"

namespace bench_floor {

/// Who asked for a path.
class Asker {
 public:
  virtual ~Asker() = default;
  /// Once for each get(), never within it. Both are good for the time of the call.
  virtual void answered(std::string_view status, std::string_view body) = 0;
};

/// The kept connections to one server without TLS, as many as were ever needed at once.
class Servers {
 public:
  Servers(Loop& loop, uint16_t port);
  ~Servers();
  /// The asker lives until its answer.
  void get(std::string_view path, Asker& asker);

 private:
  class Server;

  Loop& loop_;
  uint16_t port_;
  std::vector<std::unique_ptr<Server>> all_;
  std::vector<Server*> idle_;
};

}  // namespace bench_floor
