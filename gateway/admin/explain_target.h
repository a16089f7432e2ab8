// The target of an explanation, taken apart: what a client of it would send.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport {

struct ExplainTarget {
  enum class Sends : uint8_t {
    https,    // a TLS hello, and HTTP within
    http,     // an HTTP request
    tls,      // a TLS hello, and anything within
    ssh,      // the banner of an SSH client
    other,    // bytes that are none of these
    not_told  // HOST:PORT: it depends on who listens there
  };
  Sends sends = Sends::https;
  std::string host;  // lower case, no trailing dot, IPv6 in brackets
  bool is_ip = false;
  uint16_t port = 443;
  std::string request;  // path and query as the client sends them
};

Result<ExplainTarget> parse_explain_target(std::string_view text);

}  // namespace sallyport
