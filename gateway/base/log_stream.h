// Log lines as bytes, one after the other: stderr, or a file.
#pragma once
#include "base/log_sink.h"
#include "base/unique_fd.h"

namespace sallyport::log {

// Writes to a descriptor that stays the caller's, for good.
class StreamSink final : public Sink {
 public:
  explicit StreamSink(int fd);
  size_t write(const Piece& piece) override;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

// Appends to a file that may be moved, deleted or cut under it, and never leaves half a line there. The path may be a
// FIFO or a device too.
class FileSink final : public Sink {
 public:
  explicit FileSink(std::string path);
  size_t write(const Piece& piece) override;
  bool reopen() override;

 private:
  bool open();
  bool gone() const noexcept;

  UniqueFd fd_;
  bool regular_ = false;
  bool reopening_ = false;  // it was asked for, and has not worked yet
};

}  // namespace sallyport::log
