// Who may use a service, by client address: deny beats allow, and a non-empty allow denies the rest.
#pragma once
#include "base/address.h"
#include "config/model.h"

namespace sallyport {

bool admits(const config::Access& access, const Address& client) noexcept;

}  // namespace sallyport
