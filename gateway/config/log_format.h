// A log format of a user's own: text with placeholders such as {client}, taken apart once.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace sallyport::config {

enum class LogField : uint8_t {
  none,  // only the text before it
  time,
  time_clf,
  time_unix,
  client,
  client_port,
  listener,
  service,
  server,
  mode,
  sni,
  host,
  method,
  path,
  protocol,
  request,
  status,
  in,
  out,
  handshake_ms,
  connect_ms,
  first_byte_ms,
  total_ms,
  end,
  reason,
  referer,
  user_agent,
};

struct LogPart {
  // How a value is made safe. bare: it cannot hold what separates fields; quoted: it stands between double quotes.
  enum class Style : uint8_t { bare, quoted, json };
  std::string before;  // literal text
  LogField field = LogField::none;
  Style style = Style::bare;
};

struct LogPattern {
  std::vector<LogPart> parts;
  ByteSet bare_bytes = kPlainBytes;  // what stands for itself in a bare value
  bool wants_headers = false;        // referer or user_agent is among them
  bool empty() const noexcept { return parts.empty(); }
};

// The NCSA's combined format.
inline constexpr std::string_view kCombinedFormat =
    "{client} - - [{time_clf}] \"{request}\" {status} {out} \"{referer}\" \"{user_agent}\"";

// The error's detail is the message for the user.
Result<LogPattern> parse_log_format(std::string_view text);

}  // namespace sallyport::config
