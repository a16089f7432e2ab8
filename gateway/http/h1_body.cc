#include "http/h1_body.h"

#include <algorithm>

namespace sallyport::http {
namespace {

constexpr uint64_t kMaxChunk = uint64_t{1} << 60;
constexpr uint8_t kMaxDigits = 16;
// An extension is dropped, and nobody uses them but a few signing clients (about 85 bytes a chunk): one that is long,
// or many on tiny chunks, only costs time.
constexpr uint16_t kMaxExtension = 512;
constexpr uint32_t kMaxExtensionExcess = 16 * 1024;

int hex_value(uint8_t c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

void H1Body::start(Body framing, uint64_t content_length) noexcept {
  *this = {};
  switch (framing) {
    case Body::none: break;
    case Body::sized: left_ = content_length; break;
    case Body::chunked: state_ = State::size_first; break;
    case Body::until_close: state_ = State::until_close; break;
  }
}

void H1Body::chunk_size_done() noexcept {
  if (left_ == 0) {
    state_ = State::trailers;
    return;
  }
  state_ = State::data;
  extension_excess_ -= static_cast<uint32_t>(std::min<uint64_t>(extension_excess_, left_));
}

// chunk-size [ ";" extensions ] CRLF (RFC 9112 section 7.1), one byte after the other and without any white space
// before ";".
bool H1Body::read_size_line(Bytes& input, H1Failure& failure) noexcept {
  auto refuse = [&](const char* why) {
    failure = {400, why};
    return false;
  };
  while (!input.empty()) {
    const uint8_t c = input.front();
    switch (state_) {
      case State::size_first:
      case State::size:
        if (const int digit = hex_value(c); digit >= 0) {
          if (digits_++ == kMaxDigits) return refuse("chunk size too long");
          left_ = left_ << 4 | static_cast<uint64_t>(digit);
          if (left_ > kMaxChunk) return refuse("chunk size too large");
          state_ = State::size;
        } else if (state_ == State::size && c == ';') {
          state_ = State::extension;
          extension_ = 0;
        } else if (state_ == State::size && c == '\r') {
          state_ = State::size_lf;
        } else {
          return refuse("bad chunk size");
        }
        break;
      case State::extension:
        if (c == '\r') {
          state_ = State::size_lf;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
          return refuse("bad chunk extension");
        } else if (extension_++ == kMaxExtension || extension_excess_++ == kMaxExtensionExcess) {
          return refuse("chunk extensions too long");
        }
        break;
      default:  // size_lf
        if (c != '\n') return refuse("bad chunk size");
        input = input.subspan(1);
        chunk_size_done();
        return true;
    }
    input = input.subspan(1);
  }
  return true;
}

H1Body::Step H1Body::next(Bytes& input, Bytes& piece, HeaderList& trailers, const H1Limits& limits,
                          H1Failure& failure) {
  auto take = [&](uint64_t most) {
    piece = input.first(static_cast<size_t>(std::min<uint64_t>(most, input.size())));
    input = input.subspan(piece.size());
    return Step::data;
  };
  auto refuse = [&](int status, const char* why) {
    failure = {status, why};
    return Step::bad;
  };
  if (state_ == State::sized && left_ == 0) return Step::complete;
  while (!input.empty()) {
    switch (state_) {
      case State::until_close: return take(input.size());
      case State::sized:
        take(left_);
        left_ -= piece.size();
        return Step::data;
      case State::data:
        take(left_);
        left_ -= piece.size();
        if (left_ == 0) state_ = State::data_cr;
        return Step::data;
      case State::data_cr:
      case State::data_lf:
        if (input.front() != (state_ == State::data_cr ? '\r' : '\n')) return refuse(400, "chunk not ended by CRLF");
        input = input.subspan(1);
        if (state_ == State::data_cr) {
          state_ = State::data_lf;
        } else {
          state_ = State::size_first;
          digits_ = 0;
        }
        break;
      case State::size_first:
      case State::size:
      case State::extension:
      case State::size_lf:
        if (!read_size_line(input, failure)) return Step::bad;
        break;
      case State::trailers: {
        const std::string_view text = as_text(input);
        const H1HeadScan::Verdict verdict = scan_.next(text, false);
        if (scan_.seen() > limits.head_bytes) return refuse(431, "trailers too long");
        if (verdict == H1HeadScan::Verdict::bad) return refuse(400, scan_.why());
        if (verdict == H1HeadScan::Verdict::more) return Step::need_more;
        trailers.clear();
        if (!parse_field_section(text.substr(0, scan_.end()), limits.field_count, trailers, failure)) return Step::bad;
        if (trailers.count(HeaderId::content_length) + trailers.count(HeaderId::transfer_encoding) != 0)
          return refuse(400, "framing in trailers");
        trailers.remove_if([](const Header& field, HeaderId id) { return !is_trailer_field(field.name, id); });
        input = input.subspan(scan_.end());
        return Step::complete;
      }
    }
  }
  return Step::need_more;
}

}  // namespace sallyport::http
