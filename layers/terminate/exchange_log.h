// The access-log line and the counters of one request.
#pragma once
#include "layers/terminate/exchange.h"

namespace sallyport {

// Once per exchange, when it is over.
void log_exchange(const Client& client, Exchange& exchange);

}  // namespace sallyport
