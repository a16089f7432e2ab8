// One line per request, or per connection that is no HTTP: who, where to, what, how much, how long, and how it ended.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"

namespace sallyport {

// How a request or a connection ended. The words stand in the log.
enum class End : uint8_t {
  ok,
  client_closed,  // the client left, cleanly, before it had everything
  client_cut,     // reset, or gone without close_notify
  client_timeout,
  server_closed,
  server_cut,
  server_timeout,
  server_error,    // an answer that is none
  server_refused,  // no connection to it
  no_server,
  denied,
  bad_request,
  bad_hello,
  no_route,
  tls_error,
  limit,
  drain,
  killed,  // by the operator
  internal,
};
const char* name_of(End end) noexcept;

// Views into whatever holds them; only for the call that logs. Empty or negative: not applicable.
struct AccessRecord {
  Address client;
  std::string_view listener, service, server, mode, sni, host, method, path;
  int status = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  int64_t handshake_ms = -1, connect_ms = -1, first_byte_ms = -1, total_ms = -1;
  End end = End::ok;
  std::string_view reason;  // for people: a TLS error, which rule a request broke
};

// Collects the lines of one worker and hands them to the log at the end of a turn. Single-threaded.
class AccessLog {
 public:
  explicit AccessLog(bool enabled) noexcept : enabled_(enabled) {}
  void set_enabled(bool enabled) noexcept { enabled_ = enabled; }
  bool enabled() const noexcept { return enabled_; }
  void write(const AccessRecord& record);
  void hand_over();

 private:
  bool enabled_;
  std::string lines_;
};

void append_access_text(std::string& out, const AccessRecord& record);
void append_access_json(std::string& out, const AccessRecord& record);

}  // namespace sallyport
