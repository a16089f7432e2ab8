// Where a head ends, and what no head may hold: the first pass over the bytes of a request, a response or a trailer
// section. It looks at control characters only, and does so before any parser: CR LF pairs are the only ones a head may
// have besides HTAB, and a line may not begin with white space (obs-fold).
#pragma once
#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace sallyport::http {

// Why a message was refused. status: what to answer a client (400, 405, 414, 417, 431, 501, 505); of responses always
// 502.
struct H1Failure {
  int status = 400;
  const char* why = "";  // static text, for logs and counters: "conflicting Content-Length", …
};

struct H1Limits {
  uint32_t head_bytes =
      32 * 1024;  // request line or status line, fields, and the empty line; also each trailer section
  uint32_t field_count = 200;
  uint32_t target_bytes = 16 * 1024;
};

// Remembers how far it came, so that a head delivered byte by byte costs one pass in all. Every call gives the text
// from the head's first byte on; what was seen before must be in front, unchanged.
class H1HeadScan {
 public:
  enum class Verdict : uint8_t { more, complete, bad };

  // With start_line, the first line is a request or status line; without, a field like the others (trailers).
  Verdict next(std::string_view text, bool start_line) noexcept;
  void reset() noexcept { *this = {}; }

  uint32_t end() const noexcept { return at_; }  // complete: the length of the head, its empty line included
  uint32_t seen() const noexcept { return at_; }
  // The length of the first line without its CR LF; 0 until that is known.
  uint32_t first_line() const noexcept { return first_line_; }
  bool first_line_done() const noexcept { return line_ != 0; }
  const char* why() const noexcept { return why_; }

 private:
  Verdict bad(const char* why) noexcept {
    why_ = why;
    return Verdict::bad;
  }
  uint32_t at_ = 0;    // everything before was looked at
  uint32_t line_ = 0;  // where the line at at_ begins
  uint32_t first_line_ = 0;
  const char* why_ = "";
};

// Parses a field section, its empty line included, that H1HeadScan has passed: llhttp finds names and values, and every
// byte between them is accounted for here, so that a tolerance of one version of llhttp cannot matter. Adds the fields
// to `fields`. False: failure is set.
bool parse_field_section(std::string_view section, uint32_t most_fields, HeaderList& fields, H1Failure& failure);

}  // namespace sallyport::http
