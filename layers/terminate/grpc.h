// What a gateway has to know of gRPC: its calls tell how long they wait, last as long as they like, and understand an
// error only in their own terms.
#pragma once
#include <string_view>

#include "config/model.h"
#include "http/message.h"
#include "http/reply.h"

namespace sallyport {

bool is_grpc(const http::HeaderList& request_fields) noexcept;
// What the grpc-timeout field says; zero if there is none, or none that can be read.
config::Milliseconds grpc_timeout(const http::HeaderList& request_fields) noexcept;
// An answer of our own to a call: trailers alone, HTTP status 200, with the grpc-status that gRPC gives this HTTP
// status.
http::Reply grpc_reply(int http_status, std::string_view message);

}  // namespace sallyport
