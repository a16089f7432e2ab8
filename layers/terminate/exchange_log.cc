#include "layers/terminate/exchange_log.h"

#include "layers/rules.h"

namespace sallyport {

void log_exchange(const Client& client, const Exchange& exchange) {
  WorkerContext& worker = *client.worker;
  worker.counters.bytes_in.add(exchange.bytes_in);
  worker.counters.bytes_out.add(exchange.bytes_out);
  if (exchange.status >= 100 && exchange.status < 600)
    worker.counters.status[static_cast<size_t>(exchange.status / 100)].add();
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
  record.total_ms = static_cast<int64_t>((Loop::precise_now() - exchange.started_us) / 1000);
  record.end = exchange.end;
  record.reason = exchange.reason;
  worker.access_log.write(record);
}

}  // namespace sallyport
