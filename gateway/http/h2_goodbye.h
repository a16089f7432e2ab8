// What a client gets that speaks HTTP/2 without being asked to, on a connection where only HTTP/1.1 is spoken.
#pragma once
#include <string>

namespace sallyport::http {

// An empty SETTINGS frame, which is the server's preface (RFC 9113 section 3.4), and a GOAWAY with HTTP_1_1_REQUIRED:
// no stream was looked at, so all of it may be sent again over HTTP/1.1. To be followed by the end of the connection.
std::string h2_goodbye();

}  // namespace sallyport::http
