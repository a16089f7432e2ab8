// Many small pieces for one transport, joined into writes of up to a TLS record. Lives on the stack of whoever produces
// frames; what is left is written when it dies.
#pragma once
#include <array>
#include <cstring>

#include "transport/transport.h"

namespace sallyport {

class GatheredWrites {
 public:
  explicit GatheredWrites(Transport& transport) noexcept : transport_(transport) {}
  ~GatheredWrites() { flush(); }
  GatheredWrites(const GatheredWrites&) = delete;
  GatheredWrites& operator=(const GatheredWrites&) = delete;

  void add(Bytes head, Bytes payload) {
    if (head.size() + payload.size() <= buffer_.size() - used_) {
      copy(head);
      copy(payload);
      return;
    }
    if (head.size() > buffer_.size() - used_) flush();
    if (head.size() > buffer_.size()) {
      transport_.write(head, payload);
      return;
    }
    copy(head);
    if (payload.empty()) return;
    transport_.write({buffer_.data(), used_}, payload);
    used_ = 0;
  }
  void flush() {
    if (used_ > 0) transport_.write({buffer_.data(), used_});
    used_ = 0;
  }
  size_t waiting() const noexcept { return used_; }

 private:
  void copy(Bytes bytes) noexcept {
    if (bytes.empty()) return;
    std::memcpy(buffer_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  Transport& transport_;
  size_t used_ = 0;
  std::array<uint8_t, 16 * 1024> buffer_;
};

}  // namespace sallyport
