#include "layers/terminate/exchange_log.h"

#include "layers/rules.h"

namespace sallyport {
namespace {

const char* protocol_of(const http::RequestHead& request) noexcept {
  if (request.version_major == 2) return "HTTP/2.0";
  return request.version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

void count_end(const Client& client, Exchange& exchange, uint64_t total_us) {
  WorkerContext& worker = *client.worker;
  exchange.count_bytes(client);
  const auto status = static_cast<size_t>(exchange.status >= 100 && exchange.status < 600 ? exchange.status / 100 : 0);
  if (status != 0) {
    worker.counters.status[status].add();
    client.listener_counters().responses[status].add();
  }
  if (!exchange.service) return;
  ServiceCounters& service = exchange.service->stats->of(worker.number);
  service.open.subtract();
  service.requests[static_cast<size_t>(method_class(exchange.request.method))][status].add();
  if (status == 5) service.errors.add();
  service.total.observe_us(total_us);
}

}  // namespace

void log_exchange(const Client& client, Exchange& exchange) {
  WorkerContext& worker = *client.worker;
  const uint64_t total_us = Loop::precise_now() - exchange.started_us;
  count_end(client, exchange, total_us);
  worker.io.note_answer(exchange.bytes_out);
  if (!worker.access_log.enabled()) return;
  AccessRecord record;
  record.client = exchange.client_address;
  record.listener = client.listener->name;
  if (exchange.service) {
    record.service = exchange.service->config.name;
    record.mode = exchange.service->mode();
  }
  record.server = exchange.server_label();
  record.sni = client.sni;
  record.host = exchange.host;
  record.method = exchange.request.method;
  record.path = exchange.path;
  record.status = exchange.status;
  record.bytes_in = exchange.bytes_in;
  record.bytes_out = exchange.bytes_out;
  record.handshake_ms = client.handshake_ms;
  record.connect_ms = exchange.connect_ms();
  record.first_byte_ms = exchange.first_byte_ms;
  record.total_ms = static_cast<int64_t>(total_us / 1000);
  record.end = exchange.end;
  record.reason = exchange.reason;
  record.protocol = protocol_of(exchange.request);
  record.tls = client.tls;
  record.retries = exchange.retries();
  if (worker.access_log.wants_headers()) {
    record.referer = exchange.referer;
    record.user_agent = exchange.user_agent;
  }
  if (worker.access_log.wants_counts()) {
    record.counts = counts_of(client, exchange.service.get());
    if (const Endpoint* server = exchange.server()) record.counts.server = server->load.load(std::memory_order_relaxed);
  }
  worker.access_log.write(record);
}

}  // namespace sallyport
