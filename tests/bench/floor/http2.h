#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loop.h"
#include "servers.h"
#include "tls.h"

namespace bench_floor {

/// A context for clients that speak HTTP/2, and no others.
SSL_CTX* http2_context(const char* chain, const char* key);

/// Answers each request of its client with what a server answers to GET of that path. Nothing else of either head is
/// looked at or handed on; bodies of requests are dropped, and answers wait until they are whole. Owns the connection
/// and its streams; retires when the connection has ended and the servers owe it no more answers.
class Http2 : public Session, public Watcher, public Gatherer {
 public:
  Http2(Loop& loop, Servers& servers, SSL_CTX* context, int fd);
  ~Http2() override { nghttp2_session_del(session_); }
  void ready(uint32_t events) override;
  void turn_ends() override;

 private:
  friend class Callbacks;

  /// One request and its answer; used again once it is both answered and closed.
  struct Stream : Asker {
    explicit Stream(Http2& of) : client(of) {}
    void answered(std::string_view status, std::string_view with) override { client.answer(*this, status, with); }

    Http2& client;
    int32_t id = 0;
    bool asked = false;
    bool open = false;
    std::string path;
    std::string_view body;  // as much as has not been sent
    std::string kept;       // holds that when it does not go out at once
  };

  Stream& begin(int32_t id);
  void ask(Stream& stream);
  void answer(Stream& stream, std::string_view status, std::string_view body);
  void end(Stream& stream);
  void read(bool fin);
  void write();
  void close();

  Loop& loop_;
  Servers& servers_;
  Tls tls_;
  int fd_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> free_;
  size_t asked_ = 0;    // answers that the servers owe
  std::string frames_;  // of this turn: encrypted and sent together
  bool gathering_ = false;
  bool closed_ = false;
};

/// What nghttp2 calls, with the Http2 as its user data.
class Callbacks {
 public:
  static nghttp2_session_callbacks* make();
  /// Of a body, whose Stream is the source.
  static ssize_t next_data(nghttp2_session*, int32_t id, uint8_t*, size_t most, uint32_t* flags,
                           nghttp2_data_source* source, void*);

 private:
  static Http2& client(void* user) { return *static_cast<Http2*>(user); }
  static Http2::Stream& stream(void* user, int32_t id) {
    return *static_cast<Http2::Stream*>(nghttp2_session_get_stream_user_data(client(user).session_, id));
  }
  static bool is_request(const nghttp2_frame* frame) {
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  }
};

}  // namespace bench_floor
