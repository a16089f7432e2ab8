// What happens to a client, told without sending anything: an own reading of docs/configuration.md over the services
// of a snapshot and the state of their servers. It shares no table and no function with the path that traffic takes
// (layers/rules, layers/registry, upstream/balancer): a test compares the two. Any thread that may read the snapshot;
// costs a walk over all services.
#pragma once
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

#include "runtime/snapshot.h"

namespace sallyport {

struct ExplainRequest {
  std::string target{};  // a URL, HOST:PORT, or a host alone (https)
  std::string from{};    // the client's address; empty: not known, and access rules are told instead of judged
  std::string method = "GET";
  std::string to{};                // the address connected to, where several listeners share a port
  std::string via{};               // a proxy that sends the PROXY header with `from` in it
  std::string sni{};               // the name the TLS connection was made for, if not the target's host; "-" for none
  bool client_certificate = true;  // the client shows one that is good, where it is asked for one
};

// What GET /api/v1/explain may be told, and the request that comes of it. parameter: gives the value of one, or "".
inline constexpr std::string_view kExplainParameters[] = {
    "target", "from", "to", "via", "sni", "method", "client_certificate"};
template <class Parameter>
ExplainRequest explain_request(Parameter parameter) {
  ExplainRequest out;
  out.target = parameter("target");
  out.from = parameter("from");
  out.to = parameter("to");
  out.via = parameter("via");
  out.sni = parameter("sni");
  if (const std::string method{parameter("method")}; !method.empty()) out.method = method;
  out.client_certificate = parameter("client_certificate") != "none";
  return out;
}

// As docs/admin-api.md has it. A target or address that cannot be read gives { "error": … } alone.
nlohmann::ordered_json explain(const Snapshot& snapshot, const ExplainRequest& request);

// The same for people: numbered steps, servers, and who lost.
std::string explain_text(const nlohmann::ordered_json& explained);

}  // namespace sallyport
