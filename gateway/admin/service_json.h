// Services and servers as docs/admin-api.md has them.
#pragma once
#include <cstdint>
#include <string>

#include "admin/history.h"
#include "admin/json.h"
#include "admin/totals.h"
#include "runtime/control.h"

namespace sallyport {

enum class ServiceState : uint8_t { none, up, degraded, down };
const char* name_of(ServiceState state) noexcept;
ServiceState state_of(const Service& service);

// A place of a name that has no server at the moment is not told of.
bool is_shown(const Endpoint& endpoint) noexcept;

Json server_json(const Service& service, const Endpoint& endpoint);
// written: with what its file says, too.
Json service_json(const Service& service, const ServiceTotals& totals, const History::Rates& rates, bool written,
                  bool kept);
Json rates_json(const History::Rates& rates);

}  // namespace sallyport
