// The answer to a question for SRV records, taken apart. The bytes are a stranger's: c-ares parses them.
#pragma once
#include <span>

#include "base/result.h"
#include "net/dns_answer.h"

namespace sallyport {

constexpr size_t kMostTargets = 64;  // of one name; those of the lowest priority stay

// The targets without their addresses, by priority, and the TTL. A record that says that there is no such service
// (target ".") or names what is no host name is left out; an error if none is left, and for a malformed message.
Result<Resolved> parse_srv_reply(std::span<const uint8_t> message);

}  // namespace sallyport
