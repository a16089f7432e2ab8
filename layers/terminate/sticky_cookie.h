// A cookie that says which server a client had (sticky by cookie). Its value is a keyed digest of the server's name, made
// with the snapshot: it tells nothing to others, and is the same after a restart.
#pragma once
#include "http/message.h"
#include "upstream/upstream.h"

namespace sallyport {

// The index of the server named by the request, or -1. The cookie is the gateway's: the server does not see it.
int take_cookie(const Upstream& upstream, http::HeaderList& fields);
// Tells the client of the server it had. secure: it came over TLS.
void add_cookie(const Upstream& upstream, size_t endpoint, bool secure, http::HeaderList& fields);

}  // namespace sallyport
