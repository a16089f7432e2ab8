// Everything the workers go by, built from one state of the configuration: services, servers, TLS contexts, routing
// tables. Immutable once built; all failures happen while it is built. Control and the workers' views share it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "certs/cert_store.h"
#include "config/model.h"
#include "layers/rules.h"
#include "layers/service.h"
#include "transport/ticket_keys.h"

namespace sallyport {

struct Snapshot {
  config::Config config;
  std::shared_ptr<const CertStore> certs;
  std::vector<std::unique_ptr<Service>> services;
  std::vector<std::unique_ptr<ContextTable>> contexts;
  HostTable<PlainFallback> plain_fallback;
  std::vector<std::unique_ptr<ListenerRules>> listeners;
};

// Takes what config::load() read, and opens what it names: certificates, CAs. Faults found here (a CA that cannot be
// read, no certificate for a host) are added to config.faults, and a service with an error is left out. Never fails as
// a whole: a faulty default certificate or TLS policy sets config.gateway_faulty. previous: endpoints of services that
// stand in both keep their statistics and their resolved address. cookie_secret: what sticky cookies are made with.
std::shared_ptr<const Snapshot> build_snapshot(config::Config config, const std::shared_ptr<const TicketKeys>& tickets,
                                               const Snapshot* previous = nullptr,
                                               std::string_view cookie_secret = {});

}  // namespace sallyport
