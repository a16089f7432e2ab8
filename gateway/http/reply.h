// Answers of our own: error pages and redirects. They name no server, address, path or library.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>

#include "http/message.h"

namespace sallyport::http {

struct Reply {
  ResponseHead head;  // sized; Content-Type text/plain or text/html, Cache-Control: no-store for errors
  std::string body;
};

// A short HTML page for people, with the status, its name and one sentence (4xx, 502, 503 and 504 told apart). A 405
// (which the readers give CONNECT) carries Allow.
Reply error_reply(int status);
// The pieces of location make up a URL: visible ASCII without spaces; anything else gives a 400. The body is one line
// of text that names it. Made in place of what reply was, with its memory: redirects are the one answer that is asked
// for by the thousand.
void make_redirect(Reply& reply, int status, std::initializer_list<std::string_view> location);

// To "https://host[:port]target", for a plain request sent on to TLS: 301 for GET and HEAD, 308 otherwise. Port 443 is
// left out. Without a host (HTTP/1.0) there is nowhere to send: 400.
void make_https_redirect(Reply& reply, const RequestHead& head, uint16_t public_port);

}  // namespace sallyport::http
