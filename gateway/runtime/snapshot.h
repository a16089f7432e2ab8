// Everything the workers go by, built from one state of the configuration: services, servers, TLS contexts, routing
// tables. Immutable once built; all failures happen while it is built. Control and the workers' views share it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "certs/cert_store.h"
#include "config/model.h"
#include "layers/rules.h"
#include "layers/service.h"
#include "runtime/upstream_builder.h"
#include "transport/ticket_keys.h"

namespace sallyport {

struct Snapshot {
  config::Config config;
  std::shared_ptr<const CertStore> certs;
  std::vector<std::shared_ptr<const Service>> services;
  std::vector<const Service*> slots;  // by Service::slot; null: nobody's
  // Null: there is none.
  std::shared_ptr<const Service> service(std::string_view name) const {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : services[found->second];
  }
  std::unordered_map<std::string_view, size_t> by_name;  // places in services
  // TLS contexts by what they were made of: one that is made of the same again need not be.
  std::map<std::string, SslCtxPtr> tls_contexts;
  std::map<std::string, SslCtxPtr> fixed;  // of services with a certificate of their own
  std::vector<EndpointRewrite> rewrites;  // for who publishes it
  size_t tls_contexts_made = 0;  // of those, how many are new
  std::vector<std::unique_ptr<ContextTable>> contexts;
  HostTable<PlainFallback> plain_fallback;
  std::vector<std::unique_ptr<ListenerRules>> listeners;
};

// Takes what config::load() read, and opens what it names: certificates, CAs. Faults found here (a CA that cannot be
// read, no certificate for a host) are added to config.faults, and a service with an error is left out. Never fails as
// a whole: a faulty default certificate or TLS policy sets config.gateway_faulty. previous: of the snapshot before,
// services that did not change are the same objects; servers of those that did keep what is known of them; and what has
// a fault now goes on as it was (config.kept). cookie_secret: what sticky cookies are made with. Any thread.
std::shared_ptr<const Snapshot> build_snapshot(config::Config config, const std::shared_ptr<const TicketKeys>& tickets,
                                               const Snapshot* previous = nullptr,
                                               std::string_view cookie_secret = {});

}  // namespace sallyport
