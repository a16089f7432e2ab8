#include "metrics/export_services.h"

namespace sallyport {
namespace {

Families::Labels labels_of(const ServiceMetrics& service) { return {{"service", std::string(service.name)}}; }

Families::Labels labels_of(const ServiceMetrics& service, const ServerMetrics& server) {
  return {{"service", std::string(service.name)}, {"server", server.name}};
}

template <class T, class Read>
auto histogram_of(const PerWorker<T>& stats, Read read) {
  Families::Sum<Histogram> sum;
  stats.each([&](const T& worker) { sum.add(read(worker)); });
  return sum;
}

using Services = std::vector<ServiceMetrics>;

template <class Read>
void of_services(Families& out, const Services& services, Read read) {
  for (const ServiceMetrics& service : services) out.add(total(*service.stats, read), labels_of(service));
}

template <class Read>
void histograms_of_services(Families& out, const Services& services, Read read) {
  for (const ServiceMetrics& service : services)
    if (service.stats->used()) out.add(histogram_of(*service.stats, read), labels_of(service));
}

template <class F>
void each_server(const Services& services, F f) {
  for (const ServiceMetrics& service : services)
    for (const ServerMetrics& server : service.servers) f(service, server);
}

template <class Read>
void of_servers(Families& out, const Services& services, Read read) {
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    out.add(total(*server.stats, read), labels_of(service, server));
  });
}

template <class Read>
void of_http_servers(Families& out, const Services& services, Read read) {
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    if (service.http) out.add(total(*server.stats, read), labels_of(service, server));
  });
}

template <class Read>
void histograms_of_servers(Families& out, const Services& services, Read read) {
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    if (server.stats->used()) out.add(histogram_of(*server.stats, read), labels_of(service, server));
  });
}

// By method and status class. Those that never happened would be most of what is sent; these are what rates are made of.
void export_requests(Families& out, const Services& services) {
  for (const ServiceMetrics& service : services) {
    if (!service.http) continue;
    for (size_t method = 0; method < static_cast<size_t>(MethodClass::kCount); ++method)
      for (size_t status = 0; status < 6; ++status) {
        const uint64_t count =
            total(*service.stats, [&](const ServiceCounters& c) -> const Counter& { return c.requests[method][status]; });
        const bool always = static_cast<MethodClass>(method) == MethodClass::get && (status == 2 || status == 5);
        if (count == 0 && !always) continue;
        Families::Labels labels = labels_of(service);
        labels.push_back({"method", name_of(static_cast<MethodClass>(method))});
        labels.push_back({"class", kStatusClasses[status]});
        out.add(count, std::move(labels));
      }
  }
}

void export_responses(Families& out, const Services& services) {
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    if (!service.http || !server.stats->used()) return;
    for (size_t status = 0; status < 6; ++status) {
      Families::Labels labels = labels_of(service, server);
      labels.push_back({"class", kStatusClasses[status]});
      out.add(total(*server.stats, [&](const ServerCounters& c) -> const Counter& { return c.responses[status]; }),
              std::move(labels));
    }
  });
}

}  // namespace

void export_services(Families& out, const Services& services) {
  out.gauge("sallyport_service_info", "A service that is served, and its mode.");
  for (const ServiceMetrics& service : services) {
    Families::Labels labels = labels_of(service);
    labels.push_back({"mode", std::string(service.mode)});
    out.add(uint64_t{1}, std::move(labels));
  }
  out.gauge("sallyport_service_servers", "Servers of a service.");
  for (const ServiceMetrics& service : services)
    if (!service.servers.empty()) out.add(uint64_t{service.servers.size()}, labels_of(service));
  out.gauge("sallyport_service_servers_up", "Those of them that may be given clients.");
  for (const ServiceMetrics& service : services) {
    if (service.servers.empty()) continue;
    uint64_t up = 0;
    for (const ServerMetrics& server : service.servers) up += server.up && server.admin == 0 ? 1 : 0;
    out.add(up, labels_of(service));
  }
  out.gauge("sallyport_service_in_flight", "Requests and relayed connections that are under way.");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.open; });
  out.counter("sallyport_service_requests_total", "HTTP requests that are over, by method and by class of the status.");
  export_requests(out, services);
  out.counter("sallyport_service_connections_total", "Relayed connections, and requests that became one (WebSocket).");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.connections; });
  out.counter("sallyport_service_errors_total", "Answers of 5xx, and relayed connections that no server took.");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.errors; });
  out.counter("sallyport_service_retries_total", "Requests that were sent to a server again.");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.retries; });
  out.counter("sallyport_service_received_bytes_total", "Bytes from clients, without TLS that ends here.");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.received_bytes; });
  out.counter("sallyport_service_sent_bytes_total", "Bytes to clients, without TLS that ends here.");
  of_services(out, services, [](const ServiceCounters& c) -> const Counter& { return c.sent_bytes; });
  out.gauge("sallyport_service_queued", "Clients that wait for a server with max_connections.");
  for (const ServiceMetrics& service : services)
    if (service.queued) out.add(*service.queued, labels_of(service));
  out.gauge("sallyport_service_sticky_entries", "Clients whose server is remembered.");
  for (const ServiceMetrics& service : services)
    if (service.sticky) out.add(*service.sticky, labels_of(service));
  out.histogram("sallyport_service_connect_seconds", "Connecting to a server, with TLS.");
  histograms_of_services(out, services, [](const ServiceCounters& c) -> const Histogram& { return c.connect; });
  out.histogram("sallyport_service_first_byte_seconds", "To the first byte of the answer, from the request or the accept.");
  histograms_of_services(out, services, [](const ServiceCounters& c) -> const Histogram& { return c.first_byte; });
  out.histogram("sallyport_service_duration_seconds", "Of requests and relayed connections, from their beginning to their end.");
  histograms_of_services(out, services, [](const ServiceCounters& c) -> const Histogram& { return c.total; });
}

void export_servers(Families& out, const Services& services) {
  out.gauge("sallyport_server_up", "Whether checks and traffic find that a server may be given clients: 1 yes, 0 no.");
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    out.add(uint64_t{server.up}, labels_of(service, server));
  });
  out.gauge("sallyport_server_admin_state", "What was said of it: 0 enabled, 1 draining, 2 disabled.");
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    out.add(static_cast<uint64_t>(server.admin), labels_of(service, server));
  });
  out.gauge("sallyport_server_check_duration_seconds", "Of the last health check.");
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    if (server.check_seconds) out.add(*server.check_seconds, labels_of(service, server));
  });
  out.gauge("sallyport_server_in_flight", "Requests and relayed connections that it has.");
  each_server(services, [&](const ServiceMetrics& service, const ServerMetrics& server) {
    out.add(server.in_flight, labels_of(service, server));
  });
  out.counter("sallyport_server_connections_total", "Connections made to it.");
  of_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.connections; });
  out.counter("sallyport_server_connect_failures_total", "Attempts to connect that failed.");
  of_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.failures; });
  out.counter("sallyport_server_requests_total", "HTTP requests sent to it.");
  of_http_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.requests; });
  out.counter("sallyport_server_responses_total", "Its answers by class of the status; none: one that broke off or never came.");
  export_responses(out, services);
  out.counter("sallyport_server_received_bytes_total", "Bytes that clients sent it.");
  of_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.received_bytes; });
  out.counter("sallyport_server_sent_bytes_total", "Bytes that it sent to clients.");
  of_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.sent_bytes; });
  out.gauge("sallyport_server_idle_connections", "HTTP/1.1 connections kept for the next request.");
  of_http_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.idle; });
  out.gauge("sallyport_server_http2_connections", "HTTP/2 connections that are open.");
  of_http_servers(out, services, [](const ServerCounters& c) -> const Counter& { return c.http2_connections; });
  out.histogram("sallyport_server_connect_seconds", "Connecting to it, with TLS.");
  histograms_of_servers(out, services, [](const ServerCounters& c) -> const Histogram& { return c.connect; });
  out.histogram("sallyport_server_first_byte_seconds", "To the first byte of its answer, from the request or the accept.");
  histograms_of_servers(out, services, [](const ServerCounters& c) -> const Histogram& { return c.first_byte; });
}

}  // namespace sallyport
