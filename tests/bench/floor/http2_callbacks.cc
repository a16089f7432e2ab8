#include <algorithm>

#include "http2.h"

namespace bench_floor {
namespace {

constexpr std::string_view kPath = ":path";
constexpr size_t kFrameHead = 9;  // RFC 9113 section 4.1

std::string_view text(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

}  // namespace

ssize_t Callbacks::next_data(nghttp2_session*, int32_t, uint8_t*, size_t most, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
  size_t left = static_cast<Http2::Stream*>(source->ptr)->body.size();
  // The bytes go from where they are when the frame is sent.
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY | (left <= most ? NGHTTP2_DATA_FLAG_EOF : 0);
  return static_cast<ssize_t>(std::min(most, left));
}

nghttp2_session_callbacks* Callbacks::make() {
  nghttp2_session_callbacks* made = nullptr;
  nghttp2_session_callbacks_new(&made);
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      made, [](nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        if (!is_request(frame)) return 0;  // trailers
        int32_t id = frame->hd.stream_id;
        return nghttp2_session_set_stream_user_data(session, id, &client(user).begin(id));
      });
  nghttp2_session_callbacks_set_on_header_callback(
      made, [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
               const uint8_t* value, size_t value_size, uint8_t, void* user) {
        if (text(name, name_size) == kPath) stream(user, frame->hd.stream_id).path = text(value, value_size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(made,
                                                       [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                         if (is_request(frame))
                                                           client(user).ask(stream(user, frame->hd.stream_id));
                                                         return 0;
                                                       });
  nghttp2_session_callbacks_set_send_callback(made,
                                              [](nghttp2_session*, const uint8_t* bytes, size_t size, int, void* user) {
                                                client(user).frames_.append(text(bytes, size));
                                                return static_cast<ssize_t>(size);
                                              });
  nghttp2_session_callbacks_set_send_data_callback(made, [](nghttp2_session*, nghttp2_frame*, const uint8_t* head,
                                                            size_t size, nghttp2_data_source* source, void* user) {
    std::string_view& body = static_cast<Http2::Stream*>(source->ptr)->body;
    client(user).frames_.append(text(head, kFrameHead)).append(body.substr(0, size));
    body.remove_prefix(size);
    return 0;
  });
  nghttp2_session_callbacks_set_on_stream_close_callback(made, [](nghttp2_session*, int32_t id, uint32_t, void* user) {
    Http2::Stream& closed = stream(user, id);
    closed.open = false;
    client(user).end(closed);
    return 0;
  });
  return made;
}

}  // namespace bench_floor
