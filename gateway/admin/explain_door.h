// The listener that a client of a target comes in at.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "admin/explain_target.h"
#include "base/address.h"
#include "config/model.h"

namespace sallyport {

struct Door {
  const config::Listener* listener = nullptr;
  const config::Bind* bind = nullptr;
  bool sure = true;                               // told by port and address
  std::vector<const config::Listener*> others{};  // that have the port, too
};

// to: the address connected to; empty: the target's, if it is one. nullopt: nobody listens there.
std::optional<Door> find_door(const config::Config& config, const ExplainTarget& target, const Address& to);

}  // namespace sallyport
