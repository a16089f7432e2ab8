// An HTTP/2 connection to a server, shared by the requests of many clients of one worker. Owned by the H2Pool of its
// endpoint; dies when the server or its idle time ends it and no stream is left, through the graveyard.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/list.h"
#include "http/h2_session.h"
#include "net/loop.h"
#include "transport/gathered_writes.h"
#include "transport/transport.h"
#include "upstream/h2_dial.h"
#include "upstream/server_queue.h"

namespace sallyport {

class H2Pool;

class H2Connection final : public ListHook<H2Connection>,
                           public Doomed,
                           private IoHandler,
                           private http::H2Session::Owner,
                           private Deadline::Owner,
                           private Runnable {
 public:
  static constexpr std::chrono::milliseconds kIdle{30'000};
  static constexpr std::chrono::milliseconds kSettings{10'000};  // for the server's SETTINGS to come

  // A request on it. What comes is noted by the first group of calls, which may do nothing else: they come while the
  // connection reads or writes. on_event() follows once what was there has been dealt with, and may do anything, even
  // destroy the stream.
  class Stream : public http::H2Stream, public ListHook<Stream> {
   public:
    using http::H2Stream::H2Stream;
    virtual void on_event() = 0;

    virtual void on_head() = 0;
    virtual void on_data(Bytes piece) = 0;
    virtual void on_end() = 0;
    virtual void on_sent() = 0;
    // The server's SETTINGS have come, for who waits for them: the stream is to be opened now, for the connection does
    // not count it as waiting any more, and may die before on_event().
    virtual void on_settings() = 0;
    // Last, and not after forget(): code tells how; unprocessed: the server did nothing with the request. lost: the
    // whole connection is gone.
    virtual void on_closed(http::H2Code code, bool unprocessed, bool lost) = 0;

   protected:
    ~Stream() = default;
  };

  H2Connection(H2Pool& pool, TransportPtr transport, std::string_view key, uint32_t generation,
               std::unique_ptr<H2Dial> dial);
  ~H2Connection() override;

  std::string_view key() const noexcept { return key_; }
  uint32_t generation() const noexcept { return generation_; }
  // No request is on it, and none waits for it.
  bool idle() const noexcept { return session_.streams() == 0 && waiting_.empty() && !dial_; }
  // Whether another request may begin here.
  bool has_room() const noexcept;
  bool settings_received() const noexcept { return session_.settings_received(); }
  bool extended_connect() const noexcept { return session_.extended_connect(); }
  // The server has served some, and takes no more.
  bool goes_away() const noexcept { return session_.goaway_received() && session_.goaway_last() > 0; }
  bool tls() const noexcept { return transport_->ssl() != nullptr; }

  // Streams. open: false if the connection cannot take it any more.
  bool open(Stream& stream, const http::RequestHead& request, std::string_view connect_protocol, bool ended);
  void send(Stream& stream, Bytes piece);
  void end(Stream& stream, const http::HeaderList* trailers);
  void consume(Stream& stream, size_t count);
  void reset(Stream& stream, http::H2Code code);
  void forget(Stream& stream);
  // A stream waits for SETTINGS, or has stopped waiting, before it opens. Counts as a stream.
  void wait_for_settings(Stream& stream);
  void stop_waiting(Stream& stream);
  ServerSlot slot;  // of a server with max_connections; the pool sets it and gives it back
  // The pool has let go of it, which ends it: the socket is closed at once.
  void leave();
  // Nothing came for too long: no new requests here if the connection has been silent since (ms of the loop's clock).
  void suspect(uint64_t since_ms) noexcept;

 private:
  void on_io() override {
    if (!gives_way()) pump();
  }
  void on_run() override { pump(); }
  void on_deadline(Deadline& which) override;

  http::H2Stream* h2_open() override { return nullptr; }  // servers open none
  void h2_head(http::H2Stream& stream, bool too_large) override;
  void h2_data(http::H2Stream& stream, Bytes piece) override;
  void h2_end(http::H2Stream& stream) override;
  void h2_sent(http::H2Stream& stream) override;
  void h2_closed(http::H2Stream& stream, http::H2Code code, bool unprocessed) override;
  void h2_changed() override;
  void h2_write(Bytes head, Bytes payload) override;

  void touch(http::H2Stream& stream) noexcept;
  void wake();
  void pump();
  void tell_streams();
  bool read(bool& again);  // false: the connection is over
  void write();
  void over();
  void look_idle();

  H2Pool& pool_;
  TransportPtr transport_;
  http::H2Session session_;
  std::string key_;
  uint32_t generation_;
  Deadline deadline_;             // of the SETTINGS, then of idleness
  std::unique_ptr<H2Dial> dial_;  // until the SETTINGS come
  List<Stream> touched_;          // have something to be told
  std::vector<Stream*> waiting_;
  GatheredWrites* gather_ = nullptr;
  uint64_t heard_ms_;  // when the server last sent anything
  bool retired_ = false;
  bool losing_ = false;  // telling the streams that all is over
  bool pumping_ = false;
  bool closed_ = false;
};

}  // namespace sallyport
