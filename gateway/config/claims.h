// Routes are (listener, TLS or plain, host, path), each served by one service. Here it is settled who that is.
#pragma once
#include <vector>

#include "config/model.h"
#include "config/source.h"

namespace sallyport::config {

// services: without fault, in file order; serving: those serving at this moment, nullptr at a start. kept: those of
// them whose file has a fault now and whose routes therefore stay theirs; grows by those that lose here. Reports each
// service that claims what another has, and tells which of services they are.
std::vector<bool> settle_claims(const std::vector<Service>& services, const std::vector<Service>* serving,
                                std::vector<Service>& kept, Report& report);

}  // namespace sallyport::config
