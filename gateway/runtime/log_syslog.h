// Log lines for a syslog server: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587 section 3.4.1), or a unix
// socket. Connects when there is something to say, and again when the server has gone; a line that was cut in two by that is
// sent whole to the next.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "base/address.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "config/model.h"

namespace sallyport {

class SyslogSink final : public log::Sink {
 public:
  explicit SyslogSink(const config::LogTarget& target);
  ~SyslogSink() override;
  size_t write(const log::Piece& piece) override;
  log::Shape shape() const noexcept override { return log::Shape::stamped; }

 private:
  struct Lookup;
  bool connected();
  bool find_address();
  bool begin_connect();
  void hang_up(int error);
  bool still_there();
  void frame(const log::Event& event, const log::Piece& piece);
  size_t write_datagrams(const log::Piece& piece);
  size_t write_stream(const log::Piece& piece);
  bool send_datagram(std::string_view message);

  config::LogTarget target_;
  std::string host_name_;
  std::string pid_;
  UniqueFd fd_;
  std::shared_ptr<Lookup> lookup_;
  std::vector<Address> addresses_;
  size_t next_address_ = 0;
  std::chrono::steady_clock::time_point connect_until_{};
  bool connecting_ = false;
  bool stream_ = false;
  bool counted_ = false;    // octet counting; otherwise each ends in a newline
  bool said_something_ = false;
  size_t begun_ = 0;        // bytes of the first frame that this connection has already
  std::string frame_;       // one message
  std::string chunk_;       // many
  std::vector<std::pair<size_t, size_t>> ends_;  // of each frame in the chunk, and of its line in the piece
};

}  // namespace sallyport
