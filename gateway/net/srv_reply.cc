// What c-ares 1.34 recommends in place of the functions used here is not in the version that Debian 12 has.
#define CARES_NO_DEPRECATED
#include "net/srv_reply.h"

#include <ares.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "base/host.h"

namespace sallyport {
namespace {

constexpr size_t kHeader = 12;        // RFC 1035 section 4.1.1
constexpr size_t kAfterQuestion = 4;  // type and class
constexpr size_t kAfterName = 10;     // type, class, TTL, length

uint32_t number(std::span<const uint8_t> message, size_t at, size_t bytes) noexcept {
  uint32_t out = 0;
  for (size_t i = 0; i < bytes; ++i) out = out << 8 | message[at + i];
  return out;
}

// Moves behind a domain name. False: there is none.
bool skip_name(std::span<const uint8_t> message, size_t& at) {
  if (at >= message.size()) return false;
  char* name = nullptr;
  long length = 0;
  if (ares_expand_name(message.data() + at, message.data(), static_cast<int>(message.size()), &name, &length) !=
      ARES_SUCCESS)
    return false;
  ares_free_string(name);
  at += static_cast<size_t>(length);
  return at <= message.size();
}

// The parser for SRV tells the TTL of no record: this is the shortest of all that the answer holds, CNAMEs included.
uint32_t least_ttl(std::span<const uint8_t> message) {
  if (message.size() < kHeader) return 0;
  const uint32_t questions = number(message, 4, 2);
  const uint32_t answers = number(message, 6, 2);
  size_t at = kHeader;
  for (uint32_t i = 0; i < questions; ++i) {
    if (!skip_name(message, at)) return 0;
    at += kAfterQuestion;
  }
  uint32_t least = answers == 0 ? 0 : INT_MAX;
  for (uint32_t i = 0; i < answers; ++i) {
    if (!skip_name(message, at) || message.size() - at < kAfterName) return 0;
    const uint32_t ttl = number(message, at + 4, 4);
    least = std::min(least, ttl > INT_MAX ? 0 : ttl);  // RFC 2181 section 8
    at += kAfterName + number(message, at + 8, 2);
  }
  return least;
}

Error bad(const char* why) { return Error{Kind::unavailable, Side::upstream, Retry::no, 0, "cannot resolve", why}; }

}  // namespace

Result<Resolved> parse_srv_reply(std::span<const uint8_t> message) {
  if (message.size() > INT_MAX) return bad("the answer is too long");
  ares_srv_reply* list = nullptr;
  const int status = ares_parse_srv_reply(message.data(), static_cast<int>(message.size()), &list);
  const std::unique_ptr<ares_srv_reply, decltype(&ares_free_data)> held(list, ares_free_data);
  if (status != ARES_SUCCESS) return bad(ares_strerror(status));
  Resolved out;
  for (const ares_srv_reply* record = list; record != nullptr; record = record->next) {
    if (record->host == nullptr || !is_host_name(record->host) || record->port == 0) continue;
    SrvTarget target{normalized_host(record->host), record->port, record->priority, record->weight, {}};
    const bool known = std::any_of(out.targets.begin(), out.targets.end(), [&](const SrvTarget& other) {
      return other.host == target.host && other.port == target.port;
    });
    if (!known) out.targets.push_back(std::move(target));
  }
  if (out.targets.empty()) return bad("there is no such service");
  std::stable_sort(out.targets.begin(), out.targets.end(),
                   [](const SrvTarget& a, const SrvTarget& b) { return a.priority < b.priority; });
  if (out.targets.size() > kMostTargets) out.targets.resize(kMostTargets);
  out.ttl = std::chrono::seconds(least_ttl(message));
  return out;
}

}  // namespace sallyport
