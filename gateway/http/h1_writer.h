// Writes HTTP/1.1 heads and framing anew: nothing of the peer's framing is ever forwarded raw.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace sallyport::http {

// Appends "METHOD target HTTP/1.1", Host, the fields, and the framing head.body asks for. Fields named Connection,
// Host, Content-Length and Transfer-Encoding in head.fields are skipped; Connection is written anew where it is needed:
// `upgrade` writes "Connection: upgrade", and the Upgrade field goes along (without it Upgrade is skipped); a TE field
// is named in it. A body that is none writes "Content-Length: 0" only for POST, PUT and PATCH (RFC 9110 section 8.6).
// An empty authority gives an empty Host. Nothing is checked here: fields come from a reader, or from configuration
// that was checked.
void append_request_head(std::string& out, const RequestHead& head, bool upgrade);

// Appends the status line, the fields and the framing. close writes "Connection: close"; for an HTTP/1.0 client
// keep-alive is written when close is false. A body that only the end of the connection ends (until_close, or chunked
// for an HTTP/1.0 client, which gets no chunks) always writes close. A body that is none writes Content-Length where
// has_content_length says so. 1xx and 204 get no framing, 1xx but 101 no Connection. In a 426 the Upgrade field goes
// along as in a 101.
struct ResponseFraming {
  bool close = false;
  bool http10 = false;   // the client speaks 1.0: it gets an HTTP/1.1 status line without chunks
  bool upgrade = false;  // a 101: "Connection: upgrade" and the Upgrade field go along
};
void append_response_head(std::string& out, const ResponseHead& head, const ResponseFraming& framing);

// Chunked coding. The prefix is "<hex size>\r\n"; the suffix of a chunk is "\r\n".
void append_chunk_prefix(std::string& out, uint64_t size);
void append_last_chunk(std::string& out, const HeaderList& trailers);

std::string_view reason_phrase(int status) noexcept;  // "" for an unknown one
// "Fri, 20 Nov 2026 13:37:00 GMT", cached per second and thread.
std::string_view http_date();

}  // namespace sallyport::http
