// An access record as one line, in each format. Nothing that a client says can end a line or a field.
#pragma once
#include <string>

#include "base/text_buffer.h"
#include "config/log_format.h"
#include "layers/access_log.h"

namespace sallyport {

// timed: begins with the time.
void append_access_text(TextBuffer& out, const AccessRecord& record, bool timed = true);
void append_access_json(TextBuffer& out, const AccessRecord& record);
// As journald takes fields: SALLYPORT_CLIENT=192.0.2.7, a line each.
void append_access_fields(TextBuffer& out, const AccessRecord& record);

// A format of a user's own, or clf. What does not apply is "-", in JSON null.
void append_access_pattern(std::string& out, const AccessRecord& record, const config::LogPattern& pattern);

// HAProxy's httplog (configuration.txt, section 8.2.3), and its tcplog (8.2.2) for what is no HTTP. connections: open in
// the whole gateway.
void append_access_haproxy(std::string& out, const AccessRecord& record, uint64_t connections);
// Its two letters for how it ended and when (8.5).
struct Termination {
  char who, when;
};
Termination termination_of(const AccessRecord& record) noexcept;

// When the request or the connection began, in UTC: "20/Nov/2026:13:37:00", and of which the milliseconds.
struct Began {
  std::string_view text;  // until the next call on this thread
  int64_t seconds = 0;
  int milliseconds = 0;
};
Began began(const AccessRecord& record);

}  // namespace sallyport
