// What the admin interface changes. Each is logged once, with who asked.
#include <arpa/inet.h>

#include <map>
#include <optional>

#include "admin/admin_api.h"
#include "admin/lookup.h"
#include "admin/report_json.h"
#include "admin/service_json.h"
#include "base/format.h"
#include "base/log.h"
#include "base/text.h"

namespace sallyport {
namespace {

std::optional<AdminState> admin_state(const Json& word) {
  if (!word.is_string()) return std::nullopt;
  for (AdminState state : {AdminState::enabled, AdminState::draining, AdminState::disabled})
    if (word.get_ref<const std::string&>() == name_of(state)) return state;
  return std::nullopt;
}

std::optional<log::Level> log_level_of(const Json& word) {
  if (!word.is_string()) return std::nullopt;
  for (log::Level level : {log::Level::error, log::Level::warn, log::Level::info, log::Level::debug})
    if (word.get_ref<const std::string&>() == log::name_of(level)) return level;
  return std::nullopt;
}

// client: 4 or 16 bytes.
std::string ip_text_of(const std::string& client) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(client.size() == 4 ? AF_INET : AF_INET6, client.data(), text, sizeof text);
  return text;
}

void tell(const AdminRequest& request, std::string_view what) { log::info("admin: {}, by {}", what, request.peer->text()); }

}  // namespace

void AdminApi::add_changing() {
  const auto add = [this](std::string_view method, std::string_view pattern, std::vector<std::string_view> parameters,
                          Router::Handler handler, AdminNeed need = AdminNeed::change) {
    router_.add({method, pattern, need, std::move(parameters), std::move(handler)});
  };
  add("POST", "/api/v1/reload", {"dry_run"},
      [this](const AdminRequest& request, const Responder& responder) { reload(request, responder); },
      AdminNeed::change_unless_dry_run);
  add("PATCH", "/api/v1/servers/{}/{}", {},
      at_once([this](const AdminRequest& request) { return change_server(request); }));
  add("DELETE", "/api/v1/sessions/{}", {},
      [this](const AdminRequest& request, const Responder& responder) { kill(request, responder); });
  add("DELETE", "/api/v1/sticky", {"service", "client"},
      at_once([this](const AdminRequest& request) { return forget_sticky(request); }));
  add("PUT", "/api/v1/log-level", {}, at_once([this](const AdminRequest& request) { return log_level(request); }));
}

void AdminApi::reload(const AdminRequest& request, const Responder& responder) {
  const std::string_view dry_run = request.parameter("dry_run");
  if (!dry_run.empty() && dry_run != "true" && dry_run != "false")
    return responder.answer(error_answer(400, "`dry_run` is true or false"));
  if (control_.draining()) return responder.answer(error_answer(409, "the gateway is stopping"));
  if (!control_.serving()) return responder.answer(error_answer(409, "the gateway is starting"));
  // One at a time of each: they wait for one another, but who only looks must not shut out who changes.
  bool& busy = dry_run == "true" ? previewing_ : reloading_;
  if (busy) return responder.answer(error_answer(409, "another reload is under way"));
  busy = true;
  const auto done = [&busy, responder](const ReloadReport& report) {
    busy = false;
    responder.answer(json_answer(report_json(report)));
  };
  if (dry_run == "true") return control_.preview_reload(done);
  tell(request, "reload");
  control_.reload(ReloadReport::By::command, done);
}

AdminAnswer AdminApi::change_server(const AdminRequest& request) {
  const Snapshot& snapshot = control_.snapshot();
  const Service* service = find_service(snapshot, request.captures[0]);
  if (service == nullptr) return error_answer(404, no_service(snapshot, request.captures[0]));
  auto found = find_server(*service, request.captures[1]);
  if (!found) return error_answer(404, found.error().detail);
  Endpoint& endpoint = **found;

  const Json wanted = parse_json(request.body);
  static constexpr const char* kExpected =
      "the body is JSON like {\"admin\": \"enabled\"}, \"draining\" or \"disabled\", {\"weight\": 50} or {\"weight\": null}";
  if (!wanted.is_object() || wanted.empty()) return error_answer(400, kExpected);
  std::optional<AdminState> state;
  std::optional<uint32_t> weight;
  bool written_weight = false;
  for (const auto& [key, value] : wanted.items()) {
    if (key == "admin") {
      state = admin_state(value);
      if (!state) return error_answer(400, "`admin` is \"enabled\", \"draining\" or \"disabled\"");
    } else if (key == "weight" && value.is_null()) {
      written_weight = true;
    } else if (key == "weight") {
      if (!value.is_number_unsigned() || value.get<uint64_t>() > Endpoint::kMostWeight)
        return error_answer(400, "`weight` is a whole number from 0 to 256, or null");
      weight = value.get<uint32_t>();
    } else {
      return error_answer(400, kExpected);
    }
  }
  // All of it is right: now it counts.
  const std::string label = endpoint.label();
  if (state && *state != endpoint.admin()) {
    endpoint.set_admin(*state);
    tell(request, format("service {}: server {} is {} now", service->config.name, label, name_of(*state)));
  }
  const uint32_t before = endpoint.weight();
  if (weight) endpoint.tell_weight(*weight);
  if (written_weight) endpoint.forget_told_weight();
  if (endpoint.weight() != before)
    tell(request, format("service {}: server {} has weight {} now", service->config.name, label, endpoint.weight()));
  events_.hurry();
  return json_answer(server_json(*service, endpoint));
}

void AdminApi::kill(const AdminRequest& request, const Responder& responder) {
  const std::string id = request.captures[0];
  // The request is gone by the time that the worker has answered.
  const std::string who = request.peer->text();
  sessions_.kill(id, [responder, id, who](Result<bool> killed) {
    if (!killed) return responder.answer(error_answer(503, killed.error().text()));
    if (!*killed) return responder.answer(error_answer(404, format("there is no session \"{}\" (any more)", escaped(id, 64))));
    log::info("admin: session {} is cut, by {}", id, who);
    Json out;
    out["killed"] = id;
    responder.answer(json_answer(out));
  });
}

AdminAnswer AdminApi::sticky(const AdminRequest& request) const {
  const Snapshot& snapshot = control_.snapshot();
  const std::string_view name = request.parameter("service");
  if (name.empty()) return error_answer(400, "this needs `service`");
  const Service* service = find_service(snapshot, name);
  if (service == nullptr) return error_answer(404, no_service(snapshot, name));
  if (!service->upstream || !service->upstream->sticky)
    return error_answer(404, format("service \"{}\" does not remember clients: it has no `sticky: {{ by: source }}`", name));
  const auto page = page_of({}, request.parameter("limit"), 1000, 10'000);
  if (!page) return error_answer(400, page.error().detail);
  std::map<uint64_t, std::string> labels;
  for (const auto& endpoint : service->upstream->endpoints) labels.emplace(endpoint->hash(), endpoint->label());
  std::vector<StickyTable::Entry> entries = service->upstream->sticky->entries(control_.loop().now());
  Json rows = Json::array();
  // Who was seen last comes first.
  for (auto entry = entries.rbegin(); entry != entries.rend() && rows.size() < page->limit; ++entry) {
    Json row;
    row["client"] = ip_text_of(entry->client);
    if (const auto label = labels.find(entry->server); label != labels.end()) row["server"] = label->second;
    row["idle_seconds"] = static_cast<double>(entry->idle_ms) / 1000;
    rows.push_back(std::move(row));
  }
  Json out;
  out["service"] = name;
  out["size"] = service->config.sticky.size;
  out["total"] = entries.size();
  out["entries"] = std::move(rows);
  return json_answer(out);
}

AdminAnswer AdminApi::forget_sticky(const AdminRequest& request) {
  const Snapshot& snapshot = control_.snapshot();
  const std::string_view name = request.parameter("service");
  if (name.empty()) return error_answer(400, "this needs `service`");
  const Service* service = find_service(snapshot, name);
  if (service == nullptr) return error_answer(404, no_service(snapshot, name));
  if (!service->upstream || !service->upstream->sticky)
    return error_answer(404, format("service \"{}\" does not remember clients: it has no `sticky: {{ by: source }}`", name));
  StickyTable& table = *service->upstream->sticky;
  const std::string_view client = request.parameter("client");
  size_t forgotten = 0;
  if (client.empty()) {
    forgotten = table.size();
    table.clear();
    tell(request, format("service {}: all {} clients are forgotten", service->config.name, forgotten));
  } else {
    const auto address = Address::parse_ip(client, 0);
    if (!address) return error_answer(400, "`client` is an address");
    if (!table.remove(*address))
      return error_answer(404, format("service \"{}\" does not remember {}", service->config.name, address->ip_text()));
    forgotten = 1;
    tell(request, format("service {}: client {} is forgotten", service->config.name, address->ip_text()));
  }
  Json out;
  out["service"] = name;
  out["forgotten"] = forgotten;
  return json_answer(out);
}

AdminAnswer AdminApi::log_level(const AdminRequest& request) {
  const Json wanted = parse_json(request.body);
  const auto level = wanted.is_object() && wanted.size() == 1 && wanted.contains("level")
                         ? log_level_of(wanted["level"])
                         : std::nullopt;
  if (!level) return error_answer(400, "the body is JSON like {\"level\": \"info\"}: error, warn, info or debug");
  const log::Level before = log::level();
  // Told at whichever of the two shows it.
  if (*level > before) log::set_level(*level);
  if (*level != before) tell(request, format("the log level is {} now", log::name_of(*level)));
  log::set_level(*level);
  Json out;
  out["level"] = log::name_of(*level);
  return json_answer(out);
}

}  // namespace sallyport
