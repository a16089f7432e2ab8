// What nghttp2 tells, and asks, the session. Internal to h2_session.
#pragma once
#include <nghttp2/nghttp2.h>

#include <span>
#include <string_view>

#include "http/h2_session.h"

namespace sallyport::http {

struct H2Callbacks {
  static nghttp2_session* open_session(H2Session& session);
  // Valid until the next call, on this thread.
  static std::span<const nghttp2_nv> name_values(const H2FieldList& list);
  static nghttp2_data_provider data_provider();
  // RFC 9218 section 4: changes what the text names, leaves the rest.
  static void merge_priority(std::string_view text, uint8_t& urgency, bool& incremental) noexcept;

  // The code of an error of the connection: nghttp2 does not tell before its GOAWAY is framed. error: of nghttp2, or 0.
  static H2Code likely_code(H2Type type, int error) noexcept;

 private:
  static H2Stream* find(nghttp2_session* session, int32_t id);
  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_length,
                       const uint8_t* value, size_t value_length, uint8_t flags, void* user);
  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                               size_t name_length, const uint8_t* value, size_t value_length, uint8_t flags,
                               void* user);
  static int on_data_chunk(nghttp2_session* session, uint8_t flags, int32_t id, const uint8_t* data, size_t length,
                           void* user);
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int on_invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user);
  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user);
  static int on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* user);
  static ssize_t read_data(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* user);
  static int send_data(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header, size_t length,
                       nghttp2_data_source* source, void* user);

  static int finish_section(H2Session& self, nghttp2_session* session, const nghttp2_frame* frame);
  static void on_priority_update(nghttp2_session* session, const nghttp2_frame* frame);
};

}  // namespace sallyport::http
