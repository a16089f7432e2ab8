// What one worker counts, and the words for it. Each counter has one writer, its worker; whoever asks reads them while
// they change, and adds the workers up.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "metrics/counter.h"
#include "metrics/turn_times.h"

namespace sallyport {

// Why a connection or a request was turned away. The words are label values: bounded, none of a client's making.
enum class Rejection : uint8_t {
  unknown_protocol,  // first bytes that no layer of the listener takes
  bad_hello,
  no_route,     // a TLS name, or a plain host, that nobody serves
  bad_request,  // HTTP that breaks a rule
  bad_proxy_header,
  untrusted_proxy,  // a PROXY header from a peer that may not send one, or none from one that must
  access,
  max_connections,
  no_descriptors,
  timeout,
  busy,   // all servers have their max_connections, and the queue is full or its time is over
  flood,  // HTTP/2: more of what costs us and brings nothing than a client may send
  kCount,
};
const char* name_of(Rejection reason) noexcept;

enum class TlsVersion : uint8_t { tls12, tls13, other, kCount };
const char* name_of(TlsVersion version) noexcept;

// Why a TLS handshake with a client failed: the words of transport/tls_errors, and what else may end one.
enum class HandshakeFailure : uint8_t {
  certificate_expired,
  certificate_missing,
  certificate_name_mismatch,
  certificate_refused_by_peer,
  certificate_required_by_peer,
  certificate_revoked,
  certificate_unknown_ca,
  certificate_verify,
  crl_unusable,
  cut,  // the client left, or its connection broke
  malformed,
  no_application_protocol,
  no_shared_parameters,
  not_tls,
  other,
  peer_alert,
  protocol_version,
  unrecognized_name,
  timeout,
  drain,  // the gateway was stopped meanwhile
  kCount,
};
const char* name_of(HandshakeFailure reason) noexcept;
// `other` for a word that is none of them.
HandshakeFailure handshake_failure_of(std::string_view word) noexcept;

struct Counters {
  Counter connections;    // accepted
  Counter open_sessions;  // a gauge
  Counter requests;
  Counter bytes_in;  // from clients
  Counter bytes_out;
  Counter handshakes;
  Counter handshake_failures;
  Counter handshakes_resumed;
  Counter retries;
  std::array<Counter, 6> sniffed;  // by Sniff
  std::array<Counter, 6> status;   // by status class: [2] is 2xx
  std::array<Counter, static_cast<size_t>(Rejection::kCount)> rejected;
  Counter chunks;  // a gauge: buffers that hold something
  TurnTimes turns;
  void reject(Rejection reason) noexcept { rejected[static_cast<size_t>(reason)].add(); }
};

}  // namespace sallyport
