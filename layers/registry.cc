#include "layers/registry.h"

#include "http/h2_goodbye.h"
#include "layers/forward/relay_flow.h"
#include "layers/rules.h"
#include "layers/terminate/h1_flow.h"
#include "layers/terminate/h2_flow.h"
#include "layers/terminate/tls_flow.h"

namespace sallyport {
namespace {

std::unique_ptr<Flow> relay(Client& client, const Service* service, const ClientHello* hello = nullptr) {
  return std::make_unique<RelayFlow>(client, *service, hello);
}

std::unique_ptr<Flow> turn_away(Client& client, Rejection reason, End end, std::string_view why) {
  client.reject(reason);
  log_turned_away(client, end, why);
  return nullptr;
}

std::unique_ptr<Flow> open_tls(Client& client, const ClientHello& hello) {
  const ListenerRules& rules = *client.listener;
  if (hello.sni_kind == ClientHello::Sni::name) client.sni = hello.sni;
  const TlsHost* host = rules.tls.find(client.sni);
  if (host != nullptr && host->passthrough != nullptr) return relay(client, host->passthrough, &hello);
  if (host == nullptr && rules.tls.empty() && rules.tcp != nullptr) return relay(client, rules.tcp, &hello);

  SSL_CTX* context = nullptr;
  if (host != nullptr) {
    context = host->fixed ? host->fixed.get() : host->contexts != nullptr ? host->contexts->pick(client.sni) : nullptr;
  } else if (rules.terminates && rules.default_contexts != nullptr) {
    // Nobody serves the name, but there is a certificate for it: the client gets its answer in HTTP, not as an alert.
    context = rules.default_contexts->pick(client.sni);
  }
  if (context == nullptr) {
    auto alert = unrecognized_name_alert();
    client.transport->write(Bytes(alert));
    return turn_away(client, Rejection::no_route, End::no_route,
                     host != nullptr ? "no certificate for the name" : "unknown name");
  }
  return std::make_unique<TlsFlow>(client, hello, *context, host);
}

std::unique_ptr<Flow> open_plain(Client& client) {
  const ListenerRules& rules = *client.listener;
  if (rules.plain.empty() && rules.tls.empty() && rules.tcp != nullptr) return relay(client, rules.tcp);
  return std::make_unique<H1Flow>(client, std::string());
}

}  // namespace

std::unique_ptr<Flow> open_flow(Client& client, const Verdict& verdict) {
  const ListenerRules& rules = *client.listener;
  switch (verdict.protocol) {
    case Sniff::tls: return open_tls(client, verdict.hello);
    case Sniff::http1: return open_plain(client);
    case Sniff::h2_preface:
      if (rules.plain.empty() && rules.tls.empty() && rules.tcp != nullptr) return relay(client, rules.tcp);
      if (rules.config.http2.enabled) return std::make_unique<H2Flow>(client, std::string());
      client.transport->write(as_bytes(http::h2_goodbye()));
      return turn_away(client, Rejection::unknown_protocol, End::no_route, "cleartext HTTP/2");
    case Sniff::ssh:
      if (rules.ssh != nullptr) return relay(client, rules.ssh);
      break;
    default: break;
  }
  if (rules.tcp != nullptr) return relay(client, rules.tcp);
  return turn_away(client, Rejection::unknown_protocol, End::no_route, "unknown protocol");
}

std::unique_ptr<Flow> open_silent_flow(Client& client) {
  return client.listener->ssh != nullptr ? relay(client, client.listener->ssh) : nullptr;
}

std::unique_ptr<Flow> open_immediate_flow(Client& client) {
  return client.listener->immediate != nullptr ? relay(client, client.listener->immediate) : nullptr;
}

void log_turned_away(Client& client, End end, std::string_view reason) {
  AccessRecord record;
  record.client = client.peer;
  record.listener = client.listener->name;
  record.sni = client.sni;
  record.end = end;
  record.reason = reason;
  record.tls = client.tls;
  if (client.worker->access_log.wants_counts()) record.counts = counts_of(client, nullptr);
  record.total_ms = static_cast<int64_t>((Loop::precise_now() - client.accepted_us) / 1000);
  client.worker->access_log.write(record);
}

}  // namespace sallyport
