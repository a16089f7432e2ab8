#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <utility>

#include "relay.h"

namespace bench_floor {

/// A server's context, with the cipher and the groups of the measurements.
SSL_CTX* tls_context(const char* chain, const char* key);

/// From a client with TLS to a server without, and back: one reads and the other writes the same TLS connection.
std::pair<std::unique_ptr<Carrier>, std::unique_ptr<Carrier>> make_tls(SSL_CTX* context);

}  // namespace bench_floor
