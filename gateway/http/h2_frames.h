// Frames as they come off the wire, before nghttp2 sees them: their bounds, and what is wrong with a frame whatever
// state the connection is in (RFC 9113 sections 4 and 6). nghttp2 lets some of that pass, or counts it by how the bytes
// were cut; so it is given whole frame headers, one frame at a time, and only those that may stand there.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sallyport::http {

enum class H2Type : uint8_t {
  data = 0,
  headers = 1,
  priority = 2,
  rst_stream = 3,
  settings = 4,
  push_promise = 5,
  ping = 6,
  goaway = 7,
  window_update = 8,
  continuation = 9,
  priority_update = 0x10,  // RFC 9218
};

struct H2Frame {
  uint32_t length = 0;
  H2Type type = H2Type::data;
  uint8_t flags = 0;
  int32_t stream = 0;
  int32_t subject = 0;  // PRIORITY: what it depends on; PRIORITY_UPDATE: whose priority it is
  bool has(uint8_t flag) const noexcept { return (flags & flag) != 0; }
};
constexpr uint8_t kH2EndStream = 0x1, kH2Ack = 0x1, kH2EndHeaders = 0x4, kH2Padded = 0x8, kH2Priority = 0x20;

enum class H2Code : uint32_t;  // RFC 9113 section 7; see h2_session.h

// Cuts the stream of bytes into frames, and finds what is wrong with them. A small value; keeps no payload.
class H2FrameScan {
 public:
  explicit H2FrameScan(bool expect_preface) noexcept : preface_left_(expect_preface ? 24 : 0) {}

  struct Piece {
    Bytes bytes;
    bool begins = false;  // with a frame header, all nine bytes of it: see frame()
    bool ends = false;    // the frame does
  };
  // Takes the next piece off the front of input. False: there is no more, or it is the beginning of a frame header,
  // which is kept. The piece is a view into the input or into this object, until the next call.
  bool next(Bytes& input, Piece& piece) noexcept;
  // The frame that the last piece belongs to.
  const H2Frame& frame() const noexcept { return frame_; }

  // To be asked once for each frame when it begins. False: the connection has to end; code and why say how.
  bool check(bool server, H2Code& code, const char*& why) noexcept;
  // Within a field section: nothing but CONTINUATION may follow. Bytes of the section so far, and frames.
  bool in_section() const noexcept { return section_ != 0; }
  uint32_t section_bytes() const noexcept { return section_bytes_; }
  uint32_t section_frames() const noexcept { return section_frames_; }

 private:
  void read_header(const uint8_t* at, size_t have) noexcept;

  H2Frame frame_;
  uint32_t payload_left_ = 0;
  uint32_t section_bytes_ = 0;
  uint32_t section_frames_ = 0;
  int32_t section_ = 0;  // the stream of the field section that is being read
  uint8_t preface_left_;
  uint8_t kept_ = 0;
  std::array<uint8_t, 13> header_{};  // a frame header that came in pieces, and the first word of some payloads
};

// The streams that were closed last: a frame on one is an error of the peer's, unless we reset it and the peer may not
// have known. Server role.
class H2ClosedStreams {
 public:
  enum class How : uint8_t { unknown, over, reset_by_us };
  void add(int32_t id, How how) noexcept;
  How find(int32_t id) const noexcept;
  bool forgetful() const noexcept { return forgetful_; }  // there have been more than it holds

 private:
  static constexpr size_t kKept = 128;
  std::array<uint32_t, kKept> entries_{};  // id * 2, + 1 if reset by us
  uint8_t next_ = 0;
  bool forgetful_ = false;
};

}  // namespace sallyport::http
