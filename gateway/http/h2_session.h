// One HTTP/2 connection, either side of it (RFC 9113), over nghttp2: memory in, memory out. Streams are the caller's
// objects; heads arrive checked and complete, bodies as pieces, each under flow control that the caller governs. What a
// hostile peer may cost is bounded here: see H2Limits. Single-threaded; no sockets, no TLS, no clock but the one it is
// told.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/chunk.h"
#include "http/h2_fields.h"
#include "http/h2_frames.h"
#include "http/message.h"

struct nghttp2_session;

namespace sallyport::http {

// RFC 9113 section 7.
enum class H2Code : uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};
const char* name_of(H2Code code) noexcept;  // "PROTOCOL_ERROR"; "UNKNOWN" for others

struct H2Limits {
  uint32_t streams = 100;                    // SETTINGS_MAX_CONCURRENT_STREAMS (server role)
  uint32_t stream_window = 64 * 1024;        // SETTINGS_INITIAL_WINDOW_SIZE
  uint32_t connection_window = 1024 * 1024;  // of the connection: at least 65535
  H2FieldLimits fields;
  // Budgets against floods, each refilled by a tenth of itself a second. Over one: GOAWAY with ENHANCE_YOUR_CALM.
  uint32_t resets = 500;    // server role: streams that the client resets, or makes us reset. Each that ends well pays
                            // back half of one
  uint32_t control = 2000;  // frames that bring nothing: PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, WINDOW_UPDATE,
                            // empty DATA, RST_STREAM of no stream, unknown types. HEADERS pay back one; DATA with
                            // content one, DATA that we send two (the stream's WINDOW_UPDATE and the connection's), and
                            // both one a KiB more: some clients return their window in small pieces
};

class H2Session;

// A stream: derive from it. Must not move. It may be destroyed after H2Session::forget() or after h2_closed.
class H2Stream {
 public:
  explicit H2Stream(ChunkPool& chunks) noexcept : out_(chunks) {}
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  int32_t id() const noexcept { return id_; }              // 0: not opened, or closed
  size_t pending() const noexcept { return out_.size(); }  // body bytes not yet framed
  bool end_sent() const noexcept { return end_sent_; }     // our END_STREAM has been framed
  bool end_queued() const noexcept { return end_queued_; }
  bool end_received() const noexcept { return end_received_; }

  // Where the session puts what it reads. Server role: request. Client role: response. Set them before they are needed:
  // in h2_open, or before open().
  RequestHead* request = nullptr;
  ResponseHead* response = nullptr;
  HeaderList* trailers = nullptr;  // cleared by whoever owns it

 protected:
  ~H2Stream() = default;

 private:
  friend class H2Session;
  friend struct H2Callbacks;
  Chain out_;
  const HeaderList* out_trailers_ = nullptr;
  int32_t id_ = 0;
  uint64_t received_ = 0;  // body bytes
  uint32_t unconsumed_ = 0;
  bool head_request_ = false;
  bool head_received_ = false;
  bool end_queued_ = false;
  bool end_sent_ = false;
  bool end_received_ = false;
  bool deferred_ = false;   // nghttp2 waits for body bytes
  bool wide_ = false;       // its window has been enlarged
  bool resetting_ = false;  // RST_STREAM is queued
  bool tunnel_ = false;     // server role: an extended CONNECT
  bool incremental_ = false;
  uint8_t urgency_ = 3;  // what the client asked for, RFC 9218 section 4
  H2Stream* next_ = nullptr;
  H2Stream* previous_ = nullptr;
};

class H2Session {
 public:
  enum class Role : uint8_t { server, client };

  // Called from receive() and produce() only, never from the calls that send. None may call receive() or produce(); all
  // others are allowed. A stream that was forgotten is not spoken of again.
  class Owner {
   public:
    // Server role: a request begins. Null refuses the stream (REFUSED_STREAM: it may be sent again).
    virtual H2Stream* h2_open() = 0;
    // The head is in stream.request or stream.response. Client role: interim responses come here too, each a whole
    // head, and the next one overwrites it. too_large (server role): the request is over a limit, its fields are
    // incomplete: answer 431.
    virtual void h2_head(H2Stream& stream, bool too_large) = 0;
    virtual void h2_data(H2Stream& stream, Bytes piece) = 0;
    virtual void h2_end(H2Stream& stream) = 0;  // the peer's END_STREAM; trailers are complete
    // Body bytes have been framed, or our END_STREAM has: stream.pending() is smaller than before, or end_sent() true.
    virtual void h2_sent(H2Stream& stream) = 0;
    // Once, last: the stream is over, both ways, by END_STREAMs or by a reset of either side. no_error only if the
    // peer's END_STREAM came. unprocessed (client role): the server has said that it did nothing with the request
    // (REFUSED_STREAM, or a GOAWAY that leaves it out), so it may be sent again.
    virtual void h2_closed(H2Stream& stream, H2Code code, bool unprocessed) = 0;
    // Client role: the server's SETTINGS have changed (streams_allowed, extended_connect). Either: GOAWAY came.
    virtual void h2_changed() = 0;
    // Frames to be sent, in order. head: a frame header or whole frames; payload: of DATA, from the stream's chain.
    // Both gone after the call. From here nothing may be called.
    virtual void h2_write(Bytes head, Bytes payload) = 0;

   protected:
    ~Owner() = default;
  };

  // Queues the preface and SETTINGS: no push, RFC 9218 priorities, as server extended CONNECT. now_ms: a monotonic
  // clock.
  H2Session(Role role, Owner& owner, const H2Limits& limits, uint64_t now_ms);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // Takes bytes from the peer, all of them. False: the connection is over, failure() says why; a GOAWAY is queued:
  // produce() and close. Streams get their h2_closed from close_all().
  bool receive(Bytes bytes, uint64_t now_ms);
  // Writes frames through h2_write until there are none, or at least `most` bytes have been written. Returns true if
  // there are more. Some failures come to light here only: look at failed().
  bool produce(size_t most);
  bool wants_write() const noexcept;

  // --- Client role.
  // Opens a stream: sends the head; fields as list_request makes them. ended: no body follows. False: no stream can be
  // opened on this connection any more.
  bool open(H2Stream& stream, const RequestHead& request, std::string_view scheme, std::string_view connect_protocol,
            bool ended);
  // How many more streams the server takes now: its limit less those that are open; 0 after a GOAWAY.
  uint32_t streams_allowed() const noexcept;
  bool extended_connect() const noexcept;   // the server takes RFC 8441
  bool settings_received() const noexcept;  // before that the limits are guesses

  // --- Server role.
  void respond_interim(H2Stream& stream, const ResponseHead& response);
  void respond(H2Stream& stream, const ResponseHead& response, bool ended);

  // --- Either.
  // Copies what cannot be framed yet. Nothing after end().
  void send(H2Stream& stream, Bytes piece);
  // Ends our side. trailers: null or empty for none; must stay valid until end_sent() or the close.
  void end(H2Stream& stream, const HeaderList* trailers);
  void reset(H2Stream& stream, H2Code code);
  // The owner lets go: resets the stream (CANCEL) unless it is over; not a word more about it.
  void forget(H2Stream& stream);
  // The piece bytes are dealt with: gives the peer as much window back, of the stream. The connection's window is
  // given back when bytes arrive, up to a bound of bytes held by all streams, so that a stream that waits for a slow
  // reader does not stop the others.
  void consume(H2Stream& stream, size_t count);
  // Merges a response's Priority field (RFC 9218 section 8) into what the client asked for.
  void prioritize(H2Stream& stream, std::string_view priority);

  // First GOAWAY of a graceful end (RFC 9113 section 6.8): nothing is refused yet. Then, a round trip later, shut():
  // streams begun after it are refused; those that are open go on.
  void announce_shutdown();
  void shut(H2Code code, std::string_view debug = {});
  // Sends GOAWAY and ends every stream: produce(), then close.
  void fail(H2Code code, const char* why);
  // The connection is gone: h2_closed for every stream that is left, with INTERNAL_ERROR.
  void close_all();

  size_t streams() const noexcept { return streams_; }  // open ones
  // With no stream open either, nothing more comes of this connection: close it.
  bool goaway_received() const noexcept { return goaway_received_; }
  // The last stream that the peer's GOAWAY takes: 0 if it has taken none.
  int32_t goaway_last() const noexcept { return goaway_last_; }
  bool failed() const noexcept { return failed_; }
  // Why; static text. "" as long as nothing has failed.
  const char* failure() const noexcept { return failure_; }
  H2Code failure_code() const noexcept { return failure_code_; }
  size_t buffered() const noexcept { return buffered_; }  // body bytes waiting to be framed, all streams
  // Body bytes framed or received, and heads: moves whenever something useful happens.
  uint64_t progress() const noexcept { return progress_; }

 private:
  friend struct H2Callbacks;
  // A budget that time refills.
  struct Bucket {
    double left = 0;
    uint64_t at_ms = 0;
    bool take(uint32_t size, uint64_t now_ms, double amount) noexcept;  // a negative amount pays back
  };

  bool server() const noexcept { return role_ == Role::server; }
  static const char* what_failed(H2Type type) noexcept;
  void submit_settings();
  const uint8_t* announce_limit(Bytes frame);
  bool read_settings(const H2FrameScan::Piece& piece);
  bool read_setting(int id, uint32_t value);
  bool admit(const H2Frame& frame);
  bool admit_stream(int32_t id);
  bool settle(const H2Frame& frame);
  bool gone_quiet();
  void charge_reset();
  void charge_control(double amount);
  void attach(H2Stream& stream, int32_t id);
  void detach(H2Stream& stream);
  void drop_output(H2Stream& stream) noexcept;
  void resume(H2Stream& stream);
  void widen(H2Stream& stream);
  void hold(size_t count);
  void release(size_t count);
  void submit_reset(int32_t id, H2Code code);

  Role role_;
  Owner& owner_;
  H2Limits limits_;
  nghttp2_session* session_ = nullptr;
  H2FrameScan frames_;
  H2ClosedStreams closed_;
  H2FieldReader reader_;
  H2FieldList list_;
  std::vector<uint8_t> preface_;  // our SETTINGS, put right
  HeaderList unwanted_;           // trailers that nobody asked for
  H2Stream* first_ = nullptr;
  uint64_t now_ms_;
  Bucket resets_;
  Bucket control_;
  size_t streams_ = 0;
  size_t buffered_ = 0;
  size_t held_ = 0;  // body bytes received and not consumed
  size_t owed_ = 0;  // of those, what the connection's window has not got back
  uint32_t wide_streams_ = 0;
  uint64_t progress_ = 0;
  size_t written_ = 0;  // in this produce(), and how much it may be
  size_t most_ = 0;
  int32_t last_begun_ = 0;     // server role: the newest stream of the client, refused ones included
  int32_t last_accepted_ = 0;  // what the final GOAWAY says
  int last_error_ = 0;         // of nghttp2, about the frame that is being read
  const char* failure_ = "";
  H2Code failure_code_ = H2Code::no_error;
  int64_t widest_ = -1;  // the largest window of a stream towards the peer, while its SETTINGS are read; -1: none
  int64_t peer_window_ = 65535;       // its SETTINGS_INITIAL_WINDOW_SIZE
  std::array<uint8_t, 6> setting_{};  // one of the peer's, as it comes in
  uint8_t setting_size_ = 0;
  bool limit_announced_ = false;
  int32_t goaway_last_ = 0;
  bool goaway_received_ = false;
  bool settings_received_ = false;
  bool failed_ = false;
  bool shut_ = false;
  bool shut_framed_ = false;
  bool paused_ = false;
  bool heard_ = false;  // nghttp2 has spoken of the frame that is being read
  bool data_seen_ = false;
};

}  // namespace sallyport::http
