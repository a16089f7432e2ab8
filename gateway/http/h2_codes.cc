// What goes wrong on an HTTP/2 connection, in words and codes.
#include "http/h2_callbacks.h"

namespace sallyport::http {

const char* name_of(H2Code code) noexcept {
  switch (code) {
    case H2Code::no_error: return "NO_ERROR";
    case H2Code::protocol_error: return "PROTOCOL_ERROR";
    case H2Code::internal_error: return "INTERNAL_ERROR";
    case H2Code::flow_control_error: return "FLOW_CONTROL_ERROR";
    case H2Code::settings_timeout: return "SETTINGS_TIMEOUT";
    case H2Code::stream_closed: return "STREAM_CLOSED";
    case H2Code::frame_size_error: return "FRAME_SIZE_ERROR";
    case H2Code::refused_stream: return "REFUSED_STREAM";
    case H2Code::cancel: return "CANCEL";
    case H2Code::compression_error: return "COMPRESSION_ERROR";
    case H2Code::connect_error: return "CONNECT_ERROR";
    case H2Code::enhance_your_calm: return "ENHANCE_YOUR_CALM";
    case H2Code::inadequate_security: return "INADEQUATE_SECURITY";
    case H2Code::http_1_1_required: return "HTTP_1_1_REQUIRED";
  }
  return "UNKNOWN";
}

const char* H2Session::what_failed(H2Type type) noexcept {
  switch (type) {
    case H2Type::data: return "DATA against the rules of its stream or window";
    case H2Type::headers:
    case H2Type::continuation: return "HEADERS against the rules, or not decodable";
    case H2Type::settings: return "bad SETTINGS";
    case H2Type::window_update: return "bad WINDOW_UPDATE";
    case H2Type::rst_stream: return "RST_STREAM of an idle stream";
    case H2Type::goaway: return "bad GOAWAY";
    case H2Type::priority_update: return "PRIORITY_UPDATE for too many streams";
    default: return "a frame that may not stand here";
  }
}

H2Code H2Callbacks::likely_code(H2Type type, int error) noexcept {
  switch (error) {
    case NGHTTP2_ERR_STREAM_CLOSED: return H2Code::stream_closed;
    case NGHTTP2_ERR_FLOW_CONTROL: return H2Code::flow_control_error;
    case NGHTTP2_ERR_HEADER_COMP: return H2Code::compression_error;
    case NGHTTP2_ERR_FRAME_SIZE_ERROR: return H2Code::frame_size_error;
    case 0: break;
    default: return H2Code::protocol_error;
  }
  if (type == H2Type::headers || type == H2Type::continuation) return H2Code::compression_error;
  return type == H2Type::data ? H2Code::flow_control_error : H2Code::protocol_error;
}

}  // namespace sallyport::http
