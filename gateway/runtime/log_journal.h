// Log lines for journald, in its own protocol: each with its fields, so that `journalctl SALLYPORT_SERVICE=cloud` finds
// what belongs to a service.
#pragma once
#include <sys/uio.h>

#include <vector>

#include "base/log_sink.h"

namespace sallyport {

class JournalSink final : public log::Sink {
 public:
  JournalSink() : Sink("journald") {}
  size_t write(const log::Piece& piece) override;
  log::Shape shape() const noexcept override { return log::Shape::fields; }

 private:
  std::string message_;
  std::vector<iovec> fields_;
};

}  // namespace sallyport
