// What traffic finds out about a server, for `health.passive`.
#pragma once
#include <cstdint>
#include <string_view>

#include "upstream/protocol_hint.h"
#include "upstream/upstream.h"

namespace sallyport {

// A connect that failed, a 5xx, an answer that broke off. Logs when that takes the server out.
void note_trouble(const Upstream& upstream, Endpoint& endpoint, uint64_t now_ms, std::string_view what);

// A server that is spoken to in the wrong way: what to change, told once a server.
void note_hint(const Upstream& upstream, Endpoint& endpoint, ProtocolHint hint);

}  // namespace sallyport
