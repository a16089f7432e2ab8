// What an alert says, and how it is written down for each kind of receiver: data in, text out.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model.h"

namespace sallyport {

// Something that is in another state than before.
struct AlertChange {
  enum class Severity : uint8_t { info, warn, error };
  unsigned event = 0;      // of config::Alert::Event; 0: a test, which everybody gets
  const char* state = "";  // "down", "up"; "no_server", "has_server"; "expiring", "expired", "valid"; "ok", "partial",
                           // "refused"; "test"
  Severity severity = Severity::info;
  std::string subject;  // whom it concerns: one state each
  std::string fact;     // two states are the same if their facts are
  bool good = false;    // the state one expects: not told unless another was
  std::string service, server, certificate;
  std::string reason;
  std::string text;      // the whole of it in one line
  int64_t time = 0;      // Unix time in ms
  uint32_t changes = 1;  // how often it changed since it was told last
};
const char* name_of(AlertChange::Severity severity) noexcept;
// "server", "service", "certificate", "reload", "test".
const char* event_name(unsigned event) noexcept;

struct AlertMessage {
  std::string id;       // the same in each try
  std::string gateway;  // the name of this host
  int64_t time = 0;     // Unix time in ms
  std::vector<AlertChange> changes;
  uint64_t omitted = 0;  // what did not fit

  AlertChange::Severity severity() const noexcept;  // the worst
  // "server 10.0.0.9:80 of web is down", "5 changes: 3 servers down, 2 servers up".
  std::string title() const;
  // A line each, as many as fit.
  std::string text(size_t most_bytes) const;
  std::string json() const;
};

// For a log or a header: valid UTF-8 in one line, without controls, cut at `most` bytes.
std::string one_line(std::string_view text, size_t most = 500);

struct WebhookRequest {
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // the user's last; each name once
};
WebhookRequest webhook_request(const config::Alert& alert, const AlertMessage& message);

// RFC 5322, with CRLF and in ASCII: what is not is encoded (RFC 2045, RFC 2047).
std::string mail_text(const config::Alert& alert, const AlertMessage& message);
// As RFC 2047 writes it into a header, if it is not ASCII.
std::string header_text(std::string_view text);

// "NAME=value" for a program: SALLYPORT_* and the few of the gateway's own that programs need.
std::vector<std::string> exec_environment(const AlertMessage& message);

}  // namespace sallyport
