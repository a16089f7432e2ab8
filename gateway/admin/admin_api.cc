#include "admin/admin_api.h"

#include <set>

#include "admin/explain.h"
#include "admin/lookup.h"
#include "admin/metrics_page.h"
#include "admin/report_json.h"
#include "admin/resources.h"
#include "admin/schema.h"
#include "admin/status_json.h"
#include "base/clock.h"
#include "base/text.h"

namespace sallyport {
namespace {

constexpr size_t kUsualServices = 1000;
constexpr size_t kMostServices = 5000;

Json left_out_json(const config::Config& config) {
  Json out = Json::array();
  for (const std::string& name : config.left_out) {
    Json faults = Json::array();
    for (const config::Fault& fault : config.faults)
      if (fault.service == name && fault.severity == config::Severity::error) faults.push_back(fault_json(fault));
    Json one;
    one["name"] = name;
    one["faults"] = std::move(faults);
    out.push_back(std::move(one));
  }
  return out;
}

std::set<std::string_view> kept_names(const config::Config& config) {
  std::set<std::string_view> out;
  for (const config::Service& service : config.kept) out.insert(service.name);
  return out;
}

}  // namespace

AdminApi::AdminApi(Control& control)
    : control_(control),
      events_(control, history_),
      sampler_(control, history_,
               {[this](const Snapshot& snapshot) { events_.begin(snapshot); },
                [this](size_t index, const Service& service, const ServiceTotals& totals) {
                  events_.look(index, service, totals);
                },
                [this] {
                  if (events_.wanted()) events_.end(status());
                }}),
      sessions_(control),
      started_(unix_ms()) {
  add_pages();
  add_reading();
  add_changing();
}

void AdminApi::add_pages() {
  for (const Resource& resource : resources())
    router_.add({"GET", resource.path, AdminNeed::nothing, {}, at_once([&resource](const AdminRequest& request) {
                   const bool known = names_etag(request.if_none_match, resource.etag);
                   AdminAnswer answer = known ? text_answer(304, {}, std::string(resource.type))
                                              : text_answer(200, std::string(resource.body), std::string(resource.type));
                   answer.fields.emplace_back("ETag", resource.etag);
                   answer.fields.emplace_back("Cache-Control", "no-cache");  // asked for again each time, by its ETag
                   return answer;
                 })});
  router_.add({"GET", "/health", AdminNeed::nothing, {}, at_once([this](const AdminRequest&) { return health(); })});
  router_.add({"GET", "/metrics", AdminNeed::read, {}, at_once([this](const AdminRequest&) {
                 return text_answer(200, metrics_page(control_), "text/plain; version=0.0.4; charset=utf-8");
               })});
}

void AdminApi::add_reading() {
  const auto get = [this](std::string_view pattern, std::vector<std::string_view> parameters, Router::Handler handler) {
    router_.add({"GET", pattern, AdminNeed::read, std::move(parameters), std::move(handler)});
  };
  get("/api/v1/status", {}, at_once([this](const AdminRequest&) { return json_answer(status()); }));
  get("/api/v1/services", {"limit", "offset"}, at_once([this](const AdminRequest& request) { return services(request); }));
  get("/api/v1/services/{}", {}, at_once([this](const AdminRequest& request) { return one_service(request); }));
  get("/api/v1/servers", {"service", "limit", "offset"},
      at_once([this](const AdminRequest& request) { return servers(request); }));
  get("/api/v1/sessions", {"service", "client", "listener", "sort", "limit"},
      [this](const AdminRequest& request, const Responder& responder) { sessions(request, responder); });
  get("/api/v1/certificates", {}, at_once([this](const AdminRequest&) {
        return json_answer(certificates_.make(control_.snapshot_ptr()));
      }));
  get("/api/v1/sticky", {"service", "limit"}, at_once([this](const AdminRequest& request) { return sticky(request); }));
  get("/api/v1/history", {"service"}, at_once([this](const AdminRequest& request) { return history(request); }));
  get("/api/v1/explain", std::vector<std::string_view>(std::begin(kExplainParameters), std::end(kExplainParameters)),
      at_once([this](const AdminRequest& request) {
        const Json told = explain(control_.snapshot(), explain_request([&](std::string_view name) {
                                    return std::string(request.parameter(name));
                                  }));
        return json_answer(told, told.contains("error") ? 400 : 200);
      }));
  get("/api/v1/schema", {}, at_once([](const AdminRequest&) {
        return json_answer({{"service", service_schema()}, {"gateway", gateway_schema()}});
      }));
  get("/api/v1/events", {}, [this](const AdminRequest&, const Responder& responder) { events(responder); });
}

AdminAnswer AdminApi::health() const {
  if (control_.draining()) return text_answer(503, "draining\n");
  if (control_.watchdog().stuck() != nullptr) return text_answer(503, "a worker does not answer\n");
  return control_.serving() ? text_answer(200, "serving\n") : text_answer(503, "starting\n");
}

Json AdminApi::status() const { return status_json(control_, history_, sampler_.services(), started_); }

AdminAnswer AdminApi::services(const AdminRequest& request) const {
  const auto page = page_of(request.parameter("offset"), request.parameter("limit"), kUsualServices, kMostServices);
  if (!page) return error_answer(400, page.error().detail);
  const Snapshot& snapshot = control_.snapshot();
  const auto kept = kept_names(snapshot.config);
  Json services = Json::array();
  for (size_t i = page->offset; i < snapshot.services.size() && services.size() < page->limit; ++i) {
    const Service& service = *snapshot.services[i];
    services.push_back(service_json(service, totals_of(service), history_.rates(service.config.name), true,
                                    kept.contains(service.config.name)));
  }
  Json out;
  out["services"] = std::move(services);
  out["total"] = snapshot.services.size();
  out["left_out"] = left_out_json(snapshot.config);
  return json_answer(out);
}

AdminAnswer AdminApi::one_service(const AdminRequest& request) const {
  const Snapshot& snapshot = control_.snapshot();
  const Service* service = find_service(snapshot, request.captures[0]);
  if (service == nullptr) return error_answer(404, no_service(snapshot, request.captures[0]));
  return json_answer(service_json(*service, totals_of(*service), history_.rates(service->config.name), true,
                                  kept_names(snapshot.config).contains(service->config.name)));
}

AdminAnswer AdminApi::servers(const AdminRequest& request) const {
  const auto page = page_of(request.parameter("offset"), request.parameter("limit"), kUsualServices, kMostServices);
  if (!page) return error_answer(400, page.error().detail);
  const Snapshot& snapshot = control_.snapshot();
  const std::string_view only = request.parameter("service");
  if (!only.empty() && find_service(snapshot, only) == nullptr) return error_answer(404, no_service(snapshot, only));
  Json servers = Json::array();
  size_t total = 0;
  for (const auto& service : snapshot.services) {
    if (!service->upstream || (!only.empty() && service->config.name != only)) continue;
    for (const auto& endpoint : service->upstream->endpoints) {
      if (!is_shown(*endpoint)) continue;
      if (total >= page->offset && servers.size() < page->limit) servers.push_back(server_json(*service, *endpoint));
      ++total;
    }
  }
  Json out;
  out["servers"] = std::move(servers);
  out["total"] = total;
  return json_answer(out);
}

void AdminApi::sessions(const AdminRequest& request, const Responder& responder) {
  SessionQuery query;
  query.service = request.parameter("service");
  query.listener = request.parameter("listener");
  if (const std::string_view client = request.parameter("client"); !client.empty()) {
    auto network = Network::parse(client);
    if (!network)
      return responder.answer(error_answer(400, "`client` is an address or a network: 192.168.1.20, 10.0.0.0/8"));
    query.client = *network;
  }
  const auto sort = session_sort(request.parameter("sort"));
  if (!sort) return responder.answer(error_answer(400, "`sort` is age, received, sent, idle or requests"));
  query.sort = *sort;
  const auto page = page_of({}, request.parameter("limit"), query.limit, SessionQuery::kMost);
  if (!page) return responder.answer(error_answer(400, page.error().detail));
  query.limit = page->limit;
  const Snapshot& snapshot = control_.snapshot();
  if (!query.service.empty() && find_service(snapshot, query.service) == nullptr)
    return responder.answer(error_answer(404, no_service(snapshot, query.service)));
  sessions_.list(std::move(query), [responder](Result<SessionList> found) {
    if (!found) return responder.answer(error_answer(503, found.error().text()));
    const int64_t now = unix_ms();
    Json rows = Json::array();
    for (const SessionRow& row : found->rows) rows.push_back(session_json(row, now));
    Json out;
    out["sessions"] = std::move(rows);
    out["total"] = found->total;
    responder.answer(json_answer(out));
  });
}

AdminAnswer AdminApi::history(const AdminRequest& request) const {
  const std::string_view name = request.parameter("service");
  const Snapshot& snapshot = control_.snapshot();
  if (!name.empty() && find_service(snapshot, name) == nullptr) return error_answer(404, no_service(snapshot, name));
  const History::Series series = name.empty() ? history_.series() : history_.series(name);
  Json out;
  out["step_seconds"] = History::kStepSeconds;
  out["end"] = history_.end_ms() != 0 ? history_.end_ms() : unix_ms();
  for (size_t i = 0; i < History::kValues; ++i) out[History::kNames[i]] = series[i];
  return json_answer(out);
}

void AdminApi::events(const Responder& responder) {
  if (!events_.add(responder, status())) responder.answer(error_answer(503, "too many listen to events already"));
}

}  // namespace sallyport
