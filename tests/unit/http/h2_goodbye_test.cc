#include "http/h2_goodbye.h"

#include <nghttp2/nghttp2.h>

#include "catch.h"

using namespace sallyport::http;

namespace {
struct Seen {
  int settings = 0, goaways = 0, others = 0;
  int32_t last_stream = -1;
  uint32_t code = 0;
};
}  // namespace

TEST_CASE("h2 goodbye: an HTTP/2 client reads SETTINGS and a GOAWAY with HTTP_1_1_REQUIRED") {
  nghttp2_session_callbacks* callbacks = nullptr;
  REQUIRE(nghttp2_session_callbacks_new(&callbacks) == 0);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                       [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                         Seen& seen = *static_cast<Seen*>(user);
                                                         if (frame->hd.type == NGHTTP2_SETTINGS) {
                                                           ++seen.settings;
                                                         } else if (frame->hd.type == NGHTTP2_GOAWAY) {
                                                           ++seen.goaways;
                                                           seen.last_stream = frame->goaway.last_stream_id;
                                                           seen.code = frame->goaway.error_code;
                                                         } else {
                                                           ++seen.others;
                                                         }
                                                         return 0;
                                                       });
  Seen seen;
  nghttp2_session* session = nullptr;
  REQUIRE(nghttp2_session_client_new(&session, callbacks, &seen) == 0);
  const std::string bytes = h2_goodbye();
  CHECK(nghttp2_session_mem_recv(session, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) ==
        static_cast<ssize_t>(bytes.size()));
  CHECK(seen.settings == 1);
  CHECK(seen.goaways == 1);
  CHECK(seen.others == 0);
  CHECK(seen.last_stream == 0);
  CHECK(seen.code == NGHTTP2_HTTP_1_1_REQUIRED);
  nghttp2_session_del(session);
  nghttp2_session_callbacks_del(callbacks);
}
