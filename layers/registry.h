// Which layer takes a connection: config.md's "what happens to a connection", in one place.
#pragma once
#include <memory>

#include "layers/layer.h"

namespace sallyport {

// Null: turned away; it has been counted and logged, and an alert may be waiting in the transport: end it lingering.
std::unique_ptr<Flow> open_flow(Client& client, const Verdict& verdict);
// Nothing arrived for a while: the ssh service's turn. Null: nobody waits for silent clients.
std::unique_ptr<Flow> open_silent_flow(Client& client);
// The listener's only service, connected to at once. Null: the first bytes must be seen.
std::unique_ptr<Flow> open_immediate_flow(Client& client);

// Logs a connection that no flow took.
void log_turned_away(Client& client, End end, std::string_view reason);

}  // namespace sallyport
