// One line per request, or per connection that is no HTTP: who, where to, what, how much, how long, and how it ended.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/log_sink.h"
#include "base/text_buffer.h"
#include "config/model.h"

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

  // Of HTTP, for formats that show them.
  std::string_view protocol;              // "HTTP/1.1"
  std::string_view referer, user_agent;   // only where AccessLog::wants_headers()
  bool tls = false;                       // TLS ended here
  uint32_t retries = 0;
  // Open at that time, this one included; only where AccessLog::wants_counts().
  struct Counts {
    uint64_t listener = 0, service = 0, server = 0;
  } counts;
};

// Collects the lines of one worker and hands them to the log at the end of a turn. Single-threaded.
class AccessLog {
 public:
  // connections: of the whole gateway, for formats that show how many there are; may be null.
  explicit AccessLog(const std::atomic<uint32_t>* connections = nullptr) noexcept : connections_(connections) {}
  void configure(const config::Logs& logs);
  bool enabled() const noexcept { return logs_.access; }
  bool wants_headers() const noexcept { return logs_.access && logs_.pattern.wants_headers; }
  bool wants_counts() const noexcept { return logs_.access && logs_.format == config::LogFormat::haproxy; }
  void write(const AccessRecord& record);
  void hand_over();

 private:
  void append_line(const AccessRecord& record, bool timed);

  const std::atomic<uint32_t>* connections_;
  config::Logs logs_;
  log::Shape shape_ = log::Shape::plain;
  TextBuffer lines_;
  std::string line_;  // in one of the other formats
};

}  // namespace sallyport
