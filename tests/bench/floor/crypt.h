#pragma once

#include <openssl/types.h>

#include <memory>
#include <utility>

#include "relay.h"

namespace bench_floor {

/// From a client with TLS to a server without, and back: one reads and the other writes the same TLS connection.
std::pair<std::unique_ptr<Carrier>, std::unique_ptr<Carrier>> make_tls(SSL_CTX* context);

}  // namespace bench_floor
