// A connection's bytes, plain or TLS: one socket, perhaps an SSL object, what could not be sent yet, and what was read
// too early. Reading uses large buffers that belong to the worker; a transport at rest owns no buffer at all.
#pragma once
#include <cstdint>
#include <memory>

#include "base/chunk.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "metrics/counters.h"
#include "net/loop.h"
#include "net/pipe.h"
#include "transport/tls_context.h"

namespace sallyport {

// What the transports of one worker share. Lives as long as the worker; single-threaded.
struct IoContext {
  explicit IoContext(Loop& the_loop);
  Loop& loop;
  ChunkPool chunks;
  PipePool pipes;
  // Read targets. Whoever reads has dealt with what is in them before the next read of this worker.
  static constexpr size_t kPlainSize = 256 * 1024;
  static constexpr size_t kCipherSize = 128 * 1024;
  // What one connection moves before others get their turn, and the most that is read at once. Large pieces cost less for
  // each byte: fewer calls, fewer wake-ups of the peer. Short ones are for when clients wait for short answers, which go
  // in between; modest ones for when much waits for slow receivers, in all.
  static constexpr size_t kQuantum = kPlainSize;
  static constexpr size_t kModestQuantum = 64 * 1024;
  static constexpr size_t kShortQuantum = 32 * 1024;
  size_t quantum() const noexcept {
    if (loop.now() - short_ms_ <= kExpected) return kShortQuantum;
    return chunks.in_use() < kMuch ? kQuantum : kModestQuantum;
  }
  // A client has had its answer, of so many bytes.
  void note_answer(uint64_t size) noexcept {
    if (size < kShort) short_ms_ = loop.now();
  }
  std::unique_ptr<uint8_t[]> plain;
  std::unique_ptr<uint8_t[]> cipher;

 private:
  static constexpr uint64_t kShort = 32 * 1024;  // HTTP/2 clients acknowledge at least so much at a time, commonly
  static constexpr uint64_t kExpected = 20;      // milliseconds, to the next one
  static constexpr size_t kMuch = 1024;          // chunks: 16 MiB
  uint64_t short_ms_ = 0;                        // when an answer was short last
};

class UpstreamSessions;
class Transport;
// Closes the descriptor at once and leaves the memory to the graveyard, so that late events find a live Watch.
struct TransportDeleter {
  void operator()(Transport* transport) const noexcept;
};
using TransportPtr = std::unique_ptr<Transport, TransportDeleter>;

class Transport final : public Doomed {
 public:
  // Marks: above the high mark a source feeding this transport is not read, below the low mark it is again.
  static constexpr size_t kHighMark = 64 * 1024;
  static constexpr size_t kLowMark = 32 * 1024;

  // Registers the descriptor. connected: reads and writes are tried without waiting for an event.
  static Result<TransportPtr> make(IoContext& io, UniqueFd fd, bool connected);
  ~Transport() override;

  void set_handler(IoHandler* handler) noexcept { watch_.handler = handler; }
  int fd() const noexcept { return fd_.get(); }
  IoContext& io() noexcept { return *io_; }

  // --- TLS. The SSL object's BIO is this transport.
  // As the server. routed_sni: the name the connection was routed by; a hello with another one fails the handshake.
  Status accept_tls(SSL_CTX& context, std::string_view routed_sni);
  // As the client. name: a DNS name or an IP address, to verify (unless verify is off) and, a DNS name, to send as SNI.
  Status connect_tls(SSL_CTX& context, std::string_view name, bool verify, UpstreamSessions& sessions,
                     std::string_view endpoint);
  SSL* ssl() noexcept { return ssl_.get(); }
  bool tls_resumed() const noexcept;
  TlsVersion tls_version() const noexcept;  // after the handshake
  // What ALPN agreed on; "" if nothing, or without TLS.
  std::string_view alpn() const noexcept;
  enum class Handshake : uint8_t { done, again, failed };
  // Goes on until it needs the peer. failed: error() tells; an alert may be pending, so flush before closing.
  Handshake handshake();

  // --- Reading.
  enum class Read : uint8_t {
    data,    // bytes() holds some: in a worker buffer, gone with the next read of any transport of this worker
    again,   // nothing now
    eof,     // the peer ended cleanly: FIN, or close_notify
    failed,  // reset, cut (FIN without close_notify under TLS), or a TLS error: error() tells
  };
  // most: how many bytes; more than kReadSize is for those who have asked for the quantum.
  static constexpr size_t kReadSize = 64 * 1024;
  Read read(size_t most = kReadSize);
  Bytes bytes() const noexcept { return bytes_; }
  // Puts bytes back in front of what is still to be read: what the demultiplexer looked at, what a parser left.
  void unread(Bytes bytes);
  // Asks the kernel, whatever the latches say: true if there is nothing to read, not even an end. Touches no worker
  // buffer.
  bool quiet() const noexcept;
  // True if read() may bring something without a new event.
  bool can_read() const noexcept {
    return watch_.readable || eof_ || read_failed_ || !stash_.empty() || (ssl_ && tls_can_read());
  }

  // --- Writing. Everything is taken; pending() tells how much of it has not been sent.
  void write(Bytes bytes) { write(bytes, {}); }
  // Both parts in one TLS record or one system call, where they fit.
  void write(Bytes first, Bytes second);
  // As write() and flush(), without a copy where the socket takes it all.
  bool send(Bytes bytes);
  // Sends what is pending as far as the socket takes it. False: the connection is gone, error() tells.
  bool flush() { return out_.empty() && end_ != End::wanted ? !write_failed_ : flush_queue(); }
  size_t pending() const noexcept { return out_.size(); }
  bool congested() const noexcept { return out_.size() >= kHighMark; }
  bool relaxed() const noexcept { return out_.size() <= kLowMark; }
  // Ends our direction once everything is sent: close_notify under TLS, then FIN. flush() may be needed to get there.
  // closing: whoever calls closes as soon as write_ended(), and that is the FIN.
  void end_write(bool closing = false);
  bool write_ended() const noexcept { return end_ == End::sent; }

  // The close to come sends RST.
  void reset_on_close() noexcept;

  bool writable() const noexcept { return watch_.writable; }
  bool hangup() const noexcept { return watch_.hangup; }
  // Both directions are over, by a reset for one: seen without reading.
  bool broken() const noexcept { return watch_.broken; }
  // A reset, or another error of the connection: seen without reading.
  bool failed() const noexcept { return watch_.failed; }
  const Error& error() const noexcept { return error_; }
  // Which of tls_failure_reason()'s words a failed handshake was; "" if it failed otherwise.
  const char* tls_failure() const noexcept { return tls_failure_; }
  bool write_failed() const noexcept { return write_failed_; }
  uint64_t received() const noexcept { return received_; }  // bytes of the socket, TLS included
  uint64_t sent() const noexcept { return sent_; }
  uint64_t moved() const noexcept { return received_ + sent_; }
  // For counting both ways when splice moves bytes past this object.
  Watch& watch() noexcept { return watch_; }
  void count_received(uint64_t count) noexcept { received_ += count; }
  void count_sent(uint64_t count) noexcept { sent_ += count; }
  // The socket took less than it was given: an event tells when it has room. False: error() tells.
  bool await_room() noexcept;
  bool has_unread() const noexcept { return !stash_.empty(); }

 private:
  friend struct TransportBio;
  friend struct TransportDeleter;
  enum class End : uint8_t { open, wanted, sent };

  Transport(IoContext& io, UniqueFd fd) noexcept;
  Status start_tls(SslPtr ssl);
  Read read_plain(size_t most);
  Read read_tls(size_t most);
  ssize_t receive(uint8_t* into, size_t size);  // recv, latches kept
  bool tls_can_read() const noexcept;
  void keep_unused_cipher();
  bool cut_short() const noexcept;
  void write_tls(Bytes bytes);
  void send_now(Bytes bytes);
  bool flush_queue();
  bool send_vector(iovec* parts, size_t count, size_t total, size_t& sent);
  void fail_write(int sys, const char* what);
  void finish_end();
  void close() noexcept;

  IoContext* io_;
  Watch watch_;
  UniqueFd fd_;
  End end_ = End::open;
  bool eof_ = false;  // recv returned 0
  bool handshaken_ = false;
  bool write_failed_ = false;
  bool closing_ = false;
  bool tls_waits_ = false;    // OpenSSL has used up all there is, but for the beginning of a record
  bool read_failed_ = false;  // under TLS: a failure that came behind bytes is told once they are read
  SslPtr ssl_;
  Chain stash_;  // read, not yet consumed; ciphertext when ssl_ is set
  Bytes feed_;   // ciphertext in the worker's buffer, during one call only
  Bytes bytes_;
  Chain out_;         // to be sent; ciphertext when ssl_ is set
  int read_sys_ = 0;  // errno of a failed recv
  Error error_;
  const char* tls_failure_ = "";
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace sallyport
