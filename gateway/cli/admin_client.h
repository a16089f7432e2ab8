// Asks a running gateway, over its admin socket or its HTTP address. Blocking, with bounded patience.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport {

class AdminClient {
 public:
  // socket: where it is; empty: as the configuration says.
  AdminClient(const std::filesystem::path& directory, const std::string& socket);

  struct Reply {
    int status = 0;
    std::string body;
  };
  // An error's detail is the message for people: nobody answers, or one may not ask.
  Result<Reply> ask(std::string_view method, std::string_view target, std::string_view body = {},
                    std::chrono::seconds patience = std::chrono::seconds(10)) const;

 private:
  struct Place {
    std::string text;   // "unix:/run/sallyport/admin.sock", "127.0.0.1:8404"
    std::string token;  // for HTTP
  };
  Result<Reply> ask_at(const Place& place, std::string_view method, std::string_view target, std::string_view body,
                       std::chrono::seconds patience) const;
  std::vector<Place> places_;
};

// Why a unix socket cannot be opened, and what helps.
std::string permission_advice(const std::filesystem::path& socket);

}  // namespace sallyport
