#include "layers/terminate/grpc.h"

#include <charconv>
#include <limits>

#include "base/format.h"
#include "base/text.h"
#include "http/h1_writer.h"

namespace sallyport {
namespace {

// The table of gRPC's "HTTP to gRPC status code mapping".
int grpc_status(int http_status) noexcept {
  switch (http_status) {
    case 400: return 13;  // INTERNAL
    case 401: return 16;  // UNAUTHENTICATED
    case 403: return 7;   // PERMISSION_DENIED
    case 404: return 12;  // UNIMPLEMENTED
    case 408:
    case 429:
    case 502:
    case 503:
    case 504: return 14;  // UNAVAILABLE
    case 431: return 8;   // RESOURCE_EXHAUSTED
    default: return 2;    // UNKNOWN
  }
}

}  // namespace

bool is_grpc(const http::HeaderList& request_fields) noexcept {
  constexpr std::string_view kType = "application/grpc";
  auto type = request_fields.find(http::HeaderId::content_type);
  if (!type || type->size() < kType.size() || !equal_ignoring_case(type->substr(0, kType.size()), kType)) return false;
  // Not application/grpc-web, which is plain HTTP.
  return type->size() == kType.size() || (*type)[kType.size()] == '+' || (*type)[kType.size()] == ';';
}

config::Milliseconds grpc_timeout(const http::HeaderList& request_fields) noexcept {
  auto text = request_fields.find(http::HeaderId::grpc_timeout);
  if (!text || text->size() < 2 || text->size() > 9) return config::Milliseconds(0);
  int64_t value = 0;
  const char* end = text->data() + text->size() - 1;
  auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < 0) return config::Milliseconds(0);
  switch (text->back()) {
    case 'H': return config::Milliseconds(value * 3'600'000);
    case 'M': return config::Milliseconds(value * 60'000);
    case 'S': return config::Milliseconds(value * 1'000);
    case 'm': return config::Milliseconds(value);
    case 'u': return config::Milliseconds(value / 1'000 + 1);
    case 'n': return config::Milliseconds(value / 1'000'000 + 1);
    default: return config::Milliseconds(0);
  }
}

http::Reply grpc_reply(int http_status, std::string_view message) {
  http::Reply reply;
  reply.head.status = 200;
  reply.head.fields.add("Date", http::http_date());
  reply.head.fields.add("Content-Type", "application/grpc");
  reply.head.fields.add("Grpc-Status", format("{}", grpc_status(http_status)));
  reply.head.fields.add("Grpc-Message", message);
  return reply;
}

}  // namespace sallyport
