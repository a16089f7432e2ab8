#include "transport/transport.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/system_calls.h"
#include "net/socket.h"
#include "transport/tls_bio.h"
#include "transport/tls_errors.h"
#include "transport/upstream_sessions.h"

namespace sallyport {
namespace {

// Below this, a copy into the queue is cheaper than a system call of its own.
constexpr size_t kSendAtOnce = 8 * 1024;
constexpr size_t kRecord = 16 * 1024;
// Records wait for each other up to this: a quantum, with what TLS adds to it, goes in one call.
constexpr size_t kRecordsAtOnce = IoContext::kQuantum + 64 * 1024;

}  // namespace

IoContext::IoContext(Loop& the_loop)
    : loop(the_loop),
      pipes(64),
      plain(std::make_unique<uint8_t[]>(kPlainSize)),
      cipher(std::make_unique<uint8_t[]>(kCipherSize)) {}

void TransportDeleter::operator()(Transport* transport) const noexcept {
  transport->close();
  transport->io_->loop.bury(std::unique_ptr<Doomed>(transport));
}

Result<TransportPtr> Transport::make(IoContext& io, UniqueFd fd, bool connected) {
  int number = fd.get();
  TransportPtr transport(new Transport(io, std::move(fd)));
  // What has arrived by now raises an event.
  transport->watch_.writable = connected;
  if (auto added = io.loop.poller().add(number, transport->watch_, !connected); !added) return added.error();
  return transport;
}

Transport::Transport(IoContext& io, UniqueFd fd) noexcept
    : io_(&io), fd_(std::move(fd)), stash_(io.chunks), out_(io.chunks) {}

Transport::~Transport() = default;

void Transport::close() noexcept {
  watch_.handler = nullptr;
  if (ssl_ && handshaken_) {
    // Without this OpenSSL takes the session for a broken one and never resumes it.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  ssl_.reset();
  stash_.clear();
  out_.clear();
  fd_.reset();
}

Status Transport::start_tls(SslPtr ssl) {
  BIO* bio = ssl ? make_transport_bio(*this) : nullptr;
  if (bio == nullptr) return Error{Kind::tls, Side::internal, Retry::no, 0, "SSL_new", tls_error_text()};
  ssl_ = std::move(ssl);
  SSL_set_bio(ssl_.get(), bio, bio);
  return success();
}

Status Transport::accept_tls(SSL_CTX& context, std::string_view routed_sni) {
  SslPtr ssl(SSL_new(&context));
  if (ssl) {
    set_routed_sni(ssl.get(), routed_sni);
    SSL_set_accept_state(ssl.get());
  }
  return start_tls(std::move(ssl));
}

Status Transport::connect_tls(SSL_CTX& context, std::string_view name, bool verify, UpstreamSessions& sessions,
                              std::string_view endpoint) {
  SslPtr ssl(SSL_new(&context));
  if (ssl) {
    // Without verification a name only serves as SNI, and a server may well have none.
    if (auto named = set_upstream_name(ssl.get(), name); !named && verify) return named;
    SSL_set_connect_state(ssl.get());
    sessions.attach(ssl.get(), endpoint);
  }
  return start_tls(std::move(ssl));
}

bool Transport::tls_resumed() const noexcept { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }

TlsVersion Transport::tls_version() const noexcept {
  switch (ssl_ ? SSL_version(ssl_.get()) : 0) {
    case TLS1_2_VERSION: return TlsVersion::tls12;
    case TLS1_3_VERSION: return TlsVersion::tls13;
    default: return TlsVersion::other;
  }
}

ssize_t Transport::receive(uint8_t* into, size_t size) {
  read_sys_ = 0;
  if (eof_) return 0;
  if (!watch_.readable) return -1;
  ssize_t count;
  do {
    count = call::recv(fd_.get(), into, size, 0);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    received_ += static_cast<uint64_t>(count);
    if (static_cast<size_t>(count) < size) {
      // A short read has emptied the socket, and more data raises a new event. Behind a FIN that was seen before there
      // is none to come: the next read would tell the end. (Not so at a mark of urgent data, where reads stop short, and
      // not after an error.)
      if (!watch_.hangup)
        watch_.readable = false;
      else if (!watch_.broken && !watch_.urgent)
        eof_ = true;
    }
    return count;
  }
  if (count == 0) {
    eof_ = true;
    return 0;
  }
  if (errno == EAGAIN) {
    watch_.readable = false;
    return -1;
  }
  read_sys_ = errno;
  return -1;
}

Transport::Handshake Transport::handshake() {
  if (handshaken_) return Handshake::done;
  clear_tls_errors();
  int result = SSL_do_handshake(ssl_.get());
  keep_unused_cipher();
  if (result == 1) {
    handshaken_ = true;
    return flush() ? Handshake::done : Handshake::failed;
  }
  int reason = SSL_get_error(ssl_.get(), result);
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
    return flush() ? Handshake::again : Handshake::failed;
  }
  if (read_sys_ != 0) {
    error_ = Error::from_errno(read_sys_, Side::client, Retry::no, "TLS handshake");
  } else if (cut_short()) {
    error_ = Error{Kind::cut, Side::client, Retry::no, 0, "closed during the TLS handshake", {}};
  } else {
    tls_failure_ = tls_failure_reason(ssl_.get());
    error_ = Error{Kind::tls, Side::client, Retry::no, 0, "TLS handshake", tls_error_text(ssl_.get())};
  }
  clear_tls_errors();
  read_failed_ = true;
  return Handshake::failed;
}

// What OpenSSL has failed at is the end of what came, not something in it: an alert, or an answer in the clear, often
// comes together with the FIN.
bool Transport::cut_short() const noexcept {
  return eof_ && std::string_view(tls_failure_reason(ssl_.get())) == "cut";
}

bool Transport::tls_can_read() const noexcept {
  // A close_notify that came behind data shows at the next read, and may be all that ever comes.
  // SSL_has_pending() is true for a part of a record too, which an event will complete.
  return (!tls_waits_ && SSL_has_pending(ssl_.get()) == 1) ||
         (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

Transport::Read Transport::read(size_t most) {
  // OpenSSL would take a buffer, find nothing, and give it back.
  if (!can_read()) {
    bytes_ = {};
    return Read::again;
  }
  return ssl_ ? read_tls(most) : read_plain(most);
}

Transport::Read Transport::read_plain(size_t most) {
  if (!stash_.empty()) {
    size_t used = 0;
    while (!stash_.empty() && used < IoContext::kPlainSize) {
      Bytes front = stash_.front();
      size_t count = std::min(front.size(), IoContext::kPlainSize - used);
      std::memcpy(io_->plain.get() + used, front.data(), count);
      stash_.consume(count);
      used += count;
    }
    bytes_ = {io_->plain.get(), used};
    return Read::data;
  }
  ssize_t count = receive(io_->plain.get(), std::min(most, IoContext::kPlainSize));
  if (count > 0) {
    bytes_ = {io_->plain.get(), static_cast<size_t>(count)};
    return Read::data;
  }
  bytes_ = {};
  if (count == 0) return Read::eof;
  if (read_sys_ == 0) return Read::again;
  error_ = Error::from_errno(read_sys_, Side::internal, Retry::no, "recv");
  return Read::failed;
}

Transport::Read Transport::read_tls(size_t most) {
  most = std::min(most, IoContext::kPlainSize);
  // OpenSSL tells a fatal error once: asked again after the peer's fatal alert, it says that the peer ended in good
  // order.
  if (read_failed_) {
    bytes_ = {};
    return Read::failed;
  }
  size_t used = 0;
  size_t queued = out_.size();
  Read outcome = Read::data;
  tls_waits_ = false;
  clear_tls_errors();
  while (used < most) {
    size_t count = 0;
    int result = SSL_read_ex(ssl_.get(), io_->plain.get() + used, most - used, &count);
    if (result == 1) {
      used += count;
      // Asking again would only make OpenSSL take a buffer, find nothing, and give it back.
      if (!feed_.empty() || !stash_.empty() || watch_.readable || eof_ || SSL_has_pending(ssl_.get()) == 1) continue;
      outcome = Read::again;
      break;
    }
    int reason = SSL_get_error(ssl_.get(), result);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
      outcome = Read::again;
    } else if (reason == SSL_ERROR_ZERO_RETURN) {
      outcome = Read::eof;
    } else if (read_sys_ != 0) {
      error_ = Error::from_errno(read_sys_, Side::internal, Retry::no, "recv");
      outcome = Read::failed;
    } else if (cut_short()) {
      error_ = Error{Kind::cut, Side::internal, Retry::no, 0, "closed without close_notify", {}};
      outcome = Read::failed;
    } else {
      error_ = Error{Kind::tls, Side::internal, Retry::no, 0, "TLS", tls_error_text(ssl_.get())};
      outcome = Read::failed;
    }
    clear_tls_errors();
    break;
  }
  keep_unused_cipher();
  read_failed_ = outcome == Read::failed;
  tls_waits_ = outcome == Read::again;
  if (out_.size() > queued) {
    // What OpenSSL answers by itself: alerts, key updates. To a peer that is gone it cannot be sent: why the read
    // failed is what counts then.
    Error found = std::move(error_);
    if (flush() || read_failed_) error_ = std::move(found);
  }
  bytes_ = {io_->plain.get(), used};
  if (used > 0) return Read::data;  // an end shows again at the next call
  return outcome;
}

void Transport::keep_unused_cipher() {
  if (feed_.empty()) return;
  stash_.append(feed_);
  feed_ = {};
}

void Transport::unread(Bytes bytes) {
  if (bytes.empty()) return;
  Chain front(io_->chunks);
  front.append(bytes);
  front.take(stash_);
  stash_ = std::move(front);
}

void Transport::write(Bytes first, Bytes second) {
  if (write_failed_ || end_ != End::open) return;
  if (!ssl_) {
    if (first.size() + second.size() >= kSendAtOnce && watch_.writable) {
      out_.append(first);
      send_now(second);
    } else {
      out_.append(first);
      out_.append(second);
    }
    return;
  }
  if (!first.empty() && !second.empty() && first.size() < kRecord) {
    uint8_t record[kRecord];
    std::memcpy(record, first.data(), first.size());
    size_t count = std::min(second.size(), sizeof record - first.size());
    std::memcpy(record + first.size(), second.data(), count);
    write_tls({record, first.size() + count});
    write_tls(second.subspan(count));
    return;
  }
  write_tls(first);
  write_tls(second);
}

bool Transport::send(Bytes bytes) {
  if (ssl_) {
    write(bytes);
    return flush();
  }
  if (!write_failed_ && end_ == End::open) send_now(bytes);
  return !write_failed_;
}

void Transport::write_tls(Bytes bytes) {
  while (!bytes.empty() && !write_failed_) {
    size_t count = 0;
    clear_tls_errors();
    if (SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kRecord), &count) != 1) {
      error_ = Error{Kind::tls, Side::internal, Retry::no, 0, "TLS write", tls_error_text(ssl_.get())};
      clear_tls_errors();
      write_failed_ = true;
      return;
    }
    bytes = bytes.subspan(count);
    if (out_.size() >= kRecordsAtOnce && watch_.writable) flush();
  }
}

// Sends the queue and then the bytes, without copying them first.
void Transport::send_now(Bytes bytes) {
  constexpr size_t kParts = 24;
  static_assert((kParts - 1) * Chunk::kSize > kRecordsAtOnce);
  while (watch_.writable && !write_failed_ && (!out_.empty() || !bytes.empty())) {
    iovec parts[kParts];
    size_t count = out_.gather(parts, kParts - 1);
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) total += parts[i].iov_len;
    if (total == out_.size() && !bytes.empty()) {
      parts[count++] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
      total += bytes.size();
    }
    size_t sent = 0;
    if (!send_vector(parts, count, total, sent)) return;
    size_t queued = std::min(sent, out_.size());
    out_.consume(queued);
    bytes = bytes.subspan(sent - queued);
  }
  if (!write_failed_) out_.append(bytes);
}

bool Transport::send_vector(iovec* parts, size_t count, size_t total, size_t& sent) {
  // What a FIN follows at once waits for it: one segment less, and the peer wakes once.
  const int flags = end_ == End::wanted ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t result;
  do {
    result = count == 1 ? call::send(fd_.get(), parts->iov_base, parts->iov_len, flags)
                        : call::sendmsg(fd_.get(), message, flags);
  } while (result < 0 && errno == EINTR);
  if (result < 0) {
    if (errno == EAGAIN) return await_room();
    fail_write(errno, "send");
    return false;
  }
  sent = static_cast<size_t>(result);
  sent_ += sent;
  return sent == total || await_room();
}

bool Transport::await_room() noexcept {
  if (auto told = io_->loop.poller().await_room(fd_.get(), watch_); !told) {
    fail_write(told.error().sys, "epoll_ctl");
    return false;
  }
  return true;
}

void Transport::fail_write(int sys, const char* what) {
  write_failed_ = true;
  error_ = Error::from_errno(sys, Side::internal, Retry::no, what);
  out_.clear();
}

bool Transport::flush_queue() {
  if (!write_failed_ && !out_.empty()) send_now({});
  if (!write_failed_ && out_.empty() && end_ == End::wanted) finish_end();
  return !write_failed_;
}

void Transport::end_write(bool closing) {
  if (end_ != End::open) return;
  closing_ = closing;
  if (ssl_ && handshaken_ && !write_failed_) {
    clear_tls_errors();
    SSL_shutdown(ssl_.get());  // queues close_notify behind everything else
    clear_tls_errors();
  }
  end_ = End::wanted;
  flush();
}

void Transport::finish_end() {
  if (!closing_) ::shutdown(fd_.get(), SHUT_WR);
  end_ = End::sent;
}

bool Transport::quiet() const noexcept {
  uint8_t byte;
  return stash_.empty() && call::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

std::string_view Transport::alpn() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  if (ssl_) SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

void Transport::reset_on_close() noexcept { set_reset_on_close(fd_.get()); }

}  // namespace sallyport
