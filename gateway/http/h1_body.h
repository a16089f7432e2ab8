// Content as HTTP/1 frames it: sized, chunked, or until the connection closes. Hands out views into the input; keeps no
// bytes.
#pragma once
#include <cstdint>

#include "base/bytes.h"
#include "http/h1_scan.h"
#include "http/message.h"

namespace sallyport::http {

class H1Body {
 public:
  enum class Step : uint8_t { need_more, data, complete, bad };

  void start(Body framing, uint64_t content_length) noexcept;
  // Consumes framing and content from the front of input. data: `piece` is content, a view into what input was. A
  // trailer section stays in input until it is there as a whole; its fields go to `trailers`, but for those that may
  // not stand there (is_trailer_field). bad: failure is set.
  Step next(Bytes& input, Bytes& piece, HeaderList& trailers, const H1Limits& limits, H1Failure& failure);
  // The connection has ended: whether that is a proper end of the content.
  bool may_end_here() const noexcept { return state_ == State::until_close || (state_ == State::sized && left_ == 0); }

 private:
  enum class State : uint8_t {
    sized,
    until_close,
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailers
  };
  bool read_size_line(Bytes& input, H1Failure& failure) noexcept;
  void chunk_size_done() noexcept;

  State state_ = State::sized;
  uint8_t digits_ = 0;
  uint16_t extension_ = 0;         // bytes of this chunk's extensions
  uint32_t extension_excess_ = 0;  // extension bytes of the message that content has not made up for
  uint64_t left_ = 0;              // of the content, or of the chunk
  H1HeadScan scan_;                // of the trailer section
};

}  // namespace sallyport::http
