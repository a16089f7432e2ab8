// What a start line and the fields of an HTTP/1 message mean, once their syntax stands: framing, target, host,
// persistence. Internal to the readers; every rule errs on the side of refusing.
#pragma once
#include <string_view>

#include "http/h1_scan.h"
#include "http/message.h"

namespace sallyport::http {

// Each returns true, or false with failure set.

// "METHOD SP target SP HTTP/1.x": fills method and version; target still in whatever form it came.
bool read_request_line(std::string_view line, const H1Limits& limits, RequestHead& head, std::string_view& target,
                       H1Failure& failure);
// Works on head.fields: takes Host, Content-Length and Transfer-Encoding out, and sets everything that follows from the
// fields.
bool apply_request_rules(std::string_view target, RequestHead& head, H1Failure& failure);

// "HTTP/1.x SP 3DIGIT [SP reason]".
bool read_status_line(std::string_view line, ResponseHead& head, H1Failure& failure);
bool apply_response_rules(bool head_request, ResponseHead& head, H1Failure& failure);
// Whether these first bytes of a line can still become a status line.
bool may_be_status_line(std::string_view start) noexcept;

}  // namespace sallyport::http
