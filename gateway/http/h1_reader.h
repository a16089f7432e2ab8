// Reads HTTP/1.0 and 1.1 messages, strictly (RFC 9112, with no tolerance a smuggler could use): llhttp finds the
// syntax, rules of our own refuse what it lets through. Pull style: the caller hands in bytes and takes one event at a
// time. Keeps no buffer: a head that is not complete yet is left in the caller's input. A reader is a small value that
// never allocates; what was refused stays refused: after an error every further event is that error.
#pragma once
#include <cstdint>

#include "base/bytes.h"
#include "http/h1_body.h"
#include "http/h1_scan.h"
#include "http/message.h"

namespace sallyport::http {

enum class H1Event : uint8_t {
  need_more,  // the input is used up, or holds the beginning of a head: come again with more behind what is left
  head,       // the head object is complete
  body,       // body() is a piece of content: a view into the input just given
  complete,   // the message has ended (trailers, if any, are in trailers()); the next next() begins another message
  error,      // see failure(); the reader is of no more use
};

// Requests, on a connection from a client.
class H1RequestReader {
 public:
  explicit H1RequestReader(H1Limits limits = {}) noexcept : limits_(limits) {}
  // Consumes from the front of `input` what it has dealt with. `head` is filled before the head event and not touched
  // after; pass the same object until complete. Trailers go to `trailers`, which is cleared with each head. Before a
  // request line up to 8 empty lines are skipped. CONNECT is refused with 405: this is no forward proxy.
  H1Event next(Bytes& input, RequestHead& head, HeaderList& trailers);
  Bytes body() const noexcept { return body_; }
  const H1Failure& failure() const noexcept { return failure_; }
  // True between messages, when nothing of the next has been seen (leading empty lines do not count).
  bool idle() const noexcept;

 private:
  enum class Phase : uint8_t { head, body, failed };
  H1Event fail(int status, const char* why) noexcept;
  H1Event read_head(Bytes& input, RequestHead& head, HeaderList& trailers);

  H1Limits limits_;
  H1HeadScan scan_;
  H1Body content_;
  Bytes body_;
  H1Failure failure_;
  Phase phase_ = Phase::head;
  uint8_t empty_lines_ = 0;
};

// Responses, on a connection to a server. Interim (1xx) responses are messages of their own: head, then complete. After
// a 101 head the caller stops calling and takes the bytes left in input as they are.
class H1ResponseReader {
 public:
  explicit H1ResponseReader(H1Limits limits = {}) noexcept : limits_(limits) {}
  // Tells what the coming response answers: HEAD has no body. Call before each request's response (not per interim
  // one).
  void expect(bool head_request) noexcept;
  H1Event next(Bytes& input, ResponseHead& head, HeaderList& trailers);
  // The server closed (over TLS: with close_notify): complete if the body ends with the connection or was at its end,
  // error ("cut") in the middle of a message, error ("closed before a response") before its first byte. All input
  // before must have been given to next().
  H1Event end_of_input() noexcept;
  Bytes body() const noexcept { return body_; }
  const H1Failure& failure() const noexcept { return failure_; }
  bool idle() const noexcept;

 private:
  enum class Phase : uint8_t { head, body, failed };
  H1Event fail(const char* why) noexcept;
  H1Event read_head(Bytes& input, ResponseHead& head, HeaderList& trailers);

  H1Limits limits_;
  H1HeadScan scan_;
  H1Body content_;
  Bytes body_;
  H1Failure failure_;
  Phase phase_ = Phase::head;
  bool head_request_ = false;
};

}  // namespace sallyport::http
