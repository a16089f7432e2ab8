#include "http2.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

namespace bench_floor {
namespace {

constexpr std::string_view kProtocol = "\x02h2";

std::array<char, Tls::kMost> received;  // by the one thread

nghttp2_option* no_checks() {
  nghttp2_option* made = nullptr;
  nghttp2_option_new(&made);
  nghttp2_option_set_no_http_messaging(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  return made;
}

/// The name is one of this program's; the value is copied.
nghttp2_nv field(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view of) { return reinterpret_cast<uint8_t*>(const_cast<char*>(of.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

}  // namespace

SSL_CTX* http2_context(const char* chain, const char* key) {
  SSL_CTX* context = tls_context(chain, key, false);
  if (!context) return nullptr;
  SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const uint8_t** chosen, uint8_t* size, const uint8_t* offered, unsigned offered_size, void*) {
        int found = SSL_select_next_proto(const_cast<uint8_t**>(chosen), size,
                                          reinterpret_cast<const uint8_t*>(kProtocol.data()), kProtocol.size(), offered,
                                          offered_size);
        return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
      },
      nullptr);
  return context;
}

Http2::Http2(Loop& loop, Servers& servers, SSL_CTX* context, int fd)
    : loop_(loop), servers_(servers), tls_(context), fd_(fd) {
  static nghttp2_session_callbacks* const callbacks = Callbacks::make();
  static nghttp2_option* const options = no_checks();
  nghttp2_session_server_new2(&session_, callbacks, this, options);
  // No tree of dependencies is built then.
  nghttp2_settings_entry flat{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &flat, 1);
  loop_.watch(fd_, this);
}

void Http2::ready(uint32_t events) {
  if (closed_) return;
  if (tls_.waiting()) {
    if (!tls_.flush(fd_, false)) return close();
    write();
  }
  if (!closed_ && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) read((events & EPOLLRDHUP) != 0);
}

void Http2::read(bool fin) {
  for (;;) {
    ssize_t got = recv(fd_, received.data(), received.size(), 0);
    if (got < 0 && errno == EAGAIN) break;
    bool ended = false;
    std::string_view text;
    // The flush has only what a handshake says; streams speak when the turn ends.
    if (got <= 0 || !tls_.decrypt({received.data(), static_cast<size_t>(got)}, text, ended) ||
        !tls_.flush(fd_, false) || ended ||
        nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(text.data()), text.size()) < 0)
      return close();
    // Edge-triggered: what came after a short read is told of, but no second time that it was the last.
    if (static_cast<size_t>(got) < received.size() && !fin) break;
  }
  write();
}

/// What the session has to say becomes frames, as long as the client takes them.
void Http2::write() {
  if (!tls_.established() || tls_.waiting()) return;
  if (nghttp2_session_send(session_) != 0) return close();
  if (gathering_ || frames_.empty()) return;
  gathering_ = true;
  loop_.at_turn_end(this);
}

void Http2::turn_ends() {
  gathering_ = false;
  if (closed_) return;
  if (!tls_.encrypt(frames_) || !tls_.flush(fd_, false)) return close();
  frames_.clear();
}

Http2::Stream& Http2::begin(int32_t id) {
  if (free_.empty()) {
    streams_.push_back(std::make_unique<Stream>(*this));
    free_.push_back(streams_.back().get());
  }
  Stream& stream = *free_.back();
  free_.pop_back();
  stream.id = id;
  stream.open = true;
  return stream;
}

void Http2::ask(Stream& stream) {
  stream.asked = true;
  ++asked_;
  servers_.get(stream.path, stream);
}

void Http2::answer(Stream& stream, std::string_view status, std::string_view body) {
  stream.asked = false;
  --asked_;
  if (closed_) {
    if (asked_ == 0) loop_.retire(this);
    return;
  }
  if (!stream.open) return end(stream);
  std::array<char, 24> length;
  char* length_end = std::to_chars(length.begin(), length.end(), body.size()).ptr;
  std::array<nghttp2_nv, 2> fields{field(":status", status), field("content-length", {length.begin(), length_end})};
  nghttp2_data_provider data{{.ptr = &stream}, Callbacks::next_data};
  stream.body = body;
  if (nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(), &data) != 0) return close();
  write();
  if (stream.body.empty()) return;
  stream.kept = stream.body;
  stream.body = stream.kept;
}

void Http2::end(Stream& stream) {
  if (stream.asked || stream.open) return;
  stream.body = {};
  free_.push_back(&stream);
}

void Http2::close() {
  closed_ = true;
  ::close(fd_);
  if (asked_ == 0) loop_.retire(this);
}

}  // namespace bench_floor
