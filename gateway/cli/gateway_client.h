// Asks a running gateway of this machine, over its admin interface (docs/admin-api.md). Blocking, for commands.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/model.h"

namespace sallyport {

struct GatewayAnswer {
  int status = 0;
  std::string body;
};

class GatewayClient {
 public:
  // socket: a unix socket to ask instead of what the configuration names; may be empty.
  GatewayClient(const config::Admin& admin, const std::string& socket);

  // The answer of the first place that gives one. Error: nobody answers; its text says where it was looked for.
  Result<GatewayAnswer> ask(std::string_view method, const std::string& target,
                            std::chrono::milliseconds limit = std::chrono::seconds(3)) const;

 private:
  std::vector<std::string> places_;
};

// %XX for what may not stand in a query.
std::string query_text(std::string_view text);

}  // namespace sallyport
