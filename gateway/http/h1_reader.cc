#include "http/h1_reader.h"

#include "http/h1_rules.h"

namespace sallyport::http {
namespace {

constexpr uint8_t kMaxEmptyLines = 8;
// What a request line holds besides its target: the longest method, two spaces, the version.
constexpr uint32_t kLineExtra = 64 + 2 + 8;

H1Event event_of(H1Body::Step step) noexcept {
  switch (step) {
    case H1Body::Step::need_more: return H1Event::need_more;
    case H1Body::Step::data: return H1Event::body;
    case H1Body::Step::complete: return H1Event::complete;
    case H1Body::Step::bad: break;
  }
  return H1Event::error;
}

}  // namespace

H1Event H1RequestReader::fail(int status, const char* why) noexcept {
  failure_ = {status, why};
  phase_ = Phase::failed;
  return H1Event::error;
}

bool H1RequestReader::idle() const noexcept { return phase_ == Phase::head && scan_.seen() == 0; }

H1Event H1RequestReader::read_head(Bytes& input, RequestHead& head, HeaderList& trailers) {
  while (scan_.seen() == 0 && !input.empty() && input[0] == '\r') {
    if (input.size() == 1) return H1Event::need_more;
    if (input[1] != '\n') return fail(400, "bare CR");
    if (empty_lines_++ == kMaxEmptyLines) return fail(400, "too many empty lines before a request");
    input = input.subspan(2);
  }
  if (input.empty()) return H1Event::need_more;
  const std::string_view text = as_text(input);
  if (scan_.seen() == 0 && !is_token(text.substr(0, 1))) return fail(400, text[0] == '\n' ? "bare LF" : "bad method");
  const bool line_was_done = scan_.first_line_done();
  const H1HeadScan::Verdict verdict = scan_.next(text, true);
  // In this order the same bytes meet the same answer however they were cut.
  const bool line_done = scan_.first_line_done();
  const uint32_t line = line_done ? scan_.first_line() : scan_.seen();
  if (line > limits_.target_bytes + kLineExtra || line > limits_.head_bytes) return fail(414, "request line too long");
  std::string_view target;
  if (line_done && (!line_was_done || verdict == H1HeadScan::Verdict::complete)) {
    head.clear();
    if (!read_request_line(text.substr(0, line), limits_, head, target, failure_))
      return fail(failure_.status, failure_.why);
  }
  if (scan_.seen() > limits_.head_bytes) return fail(431, "head too long");
  if (verdict == H1HeadScan::Verdict::bad) return fail(400, scan_.why());
  if (verdict == H1HeadScan::Verdict::more) return H1Event::need_more;

  trailers.clear();
  const std::string_view section = text.substr(line + 2, scan_.end() - line - 2);
  if (!parse_field_section(section, limits_.field_count, head.fields, failure_) ||
      !apply_request_rules(target, head, failure_))
    return fail(failure_.status, failure_.why);
  input = input.subspan(scan_.end());
  content_.start(head.body, head.content_length);
  phase_ = Phase::body;
  return H1Event::head;
}

H1Event H1RequestReader::next(Bytes& input, RequestHead& head, HeaderList& trailers) {
  body_ = {};
  if (phase_ == Phase::head) return read_head(input, head, trailers);
  if (phase_ == Phase::failed) return H1Event::error;
  const H1Body::Step step = content_.next(input, body_, trailers, limits_, failure_);
  if (step == H1Body::Step::bad) phase_ = Phase::failed;
  if (step == H1Body::Step::complete) {
    phase_ = Phase::head;
    scan_.reset();
    empty_lines_ = 0;
  }
  return event_of(step);
}

H1Event H1ResponseReader::fail(const char* why) noexcept {
  failure_ = {502, why};
  phase_ = Phase::failed;
  return H1Event::error;
}

bool H1ResponseReader::idle() const noexcept { return phase_ == Phase::head && scan_.seen() == 0; }

void H1ResponseReader::expect(bool head_request) noexcept { head_request_ = head_request; }

H1Event H1ResponseReader::read_head(Bytes& input, ResponseHead& head, HeaderList& trailers) {
  if (input.empty()) return H1Event::need_more;
  const std::string_view text = as_text(input);
  if (!may_be_status_line(text)) return fail("bad status line");
  const bool line_was_done = scan_.first_line_done();
  const H1HeadScan::Verdict verdict = scan_.next(text, true);
  const uint32_t line = scan_.first_line();
  if (scan_.first_line_done() && (!line_was_done || verdict == H1HeadScan::Verdict::complete)) {
    head.clear();
    if (!read_status_line(text.substr(0, line), head, failure_)) return fail(failure_.why);
  }
  if (scan_.seen() > limits_.head_bytes) return fail("head too long");
  if (verdict == H1HeadScan::Verdict::bad) return fail(scan_.why());
  if (verdict == H1HeadScan::Verdict::more) return H1Event::need_more;

  trailers.clear();
  const std::string_view section = text.substr(line + 2, scan_.end() - line - 2);
  if (!parse_field_section(section, limits_.field_count, head.fields, failure_) ||
      !apply_response_rules(head_request_, head, failure_))
    return fail(failure_.why);
  input = input.subspan(scan_.end());
  content_.start(head.body, head.content_length);
  phase_ = Phase::body;
  return H1Event::head;
}

H1Event H1ResponseReader::next(Bytes& input, ResponseHead& head, HeaderList& trailers) {
  body_ = {};
  if (phase_ == Phase::head) return read_head(input, head, trailers);
  if (phase_ == Phase::failed) return H1Event::error;
  const H1Body::Step step = content_.next(input, body_, trailers, limits_, failure_);
  if (step == H1Body::Step::bad) return fail(failure_.why);
  if (step == H1Body::Step::complete) {
    phase_ = Phase::head;
    scan_.reset();
  }
  return event_of(step);
}

H1Event H1ResponseReader::end_of_input() noexcept {
  body_ = {};
  if (phase_ == Phase::failed) return H1Event::error;
  if (idle()) return fail("closed before a response");
  if (phase_ == Phase::head || !content_.may_end_here()) return fail("cut");
  phase_ = Phase::head;
  scan_.reset();
  return H1Event::complete;
}

}  // namespace sallyport::http
