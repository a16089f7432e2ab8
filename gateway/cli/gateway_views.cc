#include "cli/gateway_views.h"

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "cli/asking.h"
#include "cli/human.h"
#include "cli/table.h"
#include "config/model.h"

namespace sallyport {
namespace {

using Align = Table::Align;

Tint tint_of(std::string_view state) {
  if (state == "up" || state == "serving" || state == "ok" || state == "open") return Tint::good;
  if (state == "degraded" || state == "draining" || state == "partial" || state == "unresolved") return Tint::warn;
  if (state == "down" || state == "disabled" || state == "refused" || state == "failed") return Tint::bad;
  return Tint::none;
}

Table::Cell state_cell(const std::string& state) { return {state, tint_of(state)}; }

std::string list_text(const Json& list, size_t most = 3) {
  std::string out;
  size_t shown = 0;
  for (const Json& one : list) {
    if (!one.is_string()) continue;
    if (shown++ == most) return out + format(" +{}", list.size() - most);
    out += (out.empty() ? "" : ", ") + one.get<std::string>();
  }
  return out;
}

std::string counted(double count, const char* what) {
  return format("{:.0f} {}{}", count, what, count == 1 ? "" : "s");
}

std::string ago(const Json& json, const char* key, const Json& now) {
  const double then = number_in(json, key);
  return then == 0 || !now.is_number() ? std::string() : duration_text((now.get<double>() - then) / 1000);
}

// What is absent from an answer leaves a gap, and none may stand at the end of a line.
std::string trimmed_lines(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n')
      while (out.ends_with(' ')) out.pop_back();
    out += c;
  }
  return out;
}

// How many of a service's servers can be used.
std::string servers_text(const Json& service) {
  const Json& servers = part_of(service, "servers");
  const auto good = std::count_if(servers.begin(), servers.end(), [](const Json& server) {
    const std::string state = text_in(server, "state");
    return (state == "up" || state == "unchecked") && text_in(server, "admin") != "disabled";
  });
  return servers.empty() ? std::string() : format("{}/{}", good, servers.size());
}

std::string admin_text(const Json& server) {
  const std::string admin = text_in(server, "admin");
  return admin == "enabled" ? std::string() : admin;
}

Table server_table() {
  return Table({{"SERVICE"}, {"SERVER"}, {"STATE"}, {"ADMIN"}, {"WEIGHT", Align::right}, {"LOAD", Align::right},
                {"CONNECTIONS", Align::right}, {"REQUESTS", Align::right}, {"ERRORS", Align::right}, {"CHECK"}, {"REASON"}});
}

void add_server(Table& table, const Json& server) {
  const Json& totals = part_of(server, "totals");
  const double weight = number_in(server, "weight");
  const double written = number_in(server, "written_weight");
  std::string check = text_in(server, "check");
  if (server.contains("check_ms")) check += format(" {:.1f} ms", number_in(server, "check_ms"));
  const std::string name = text_in(server, "name");
  const std::string address = text_in(server, "server");
  std::string connections = count_text(number_in(server, "connections"));
  const double most = number_in(server, "max_connections");
  connections = most > 0 ? format("{}/{:.0f}", connections, most) : std::string();
  const std::string admin = admin_text(server);
  table.add({text_in(server, "service"), name.empty() ? address : format("{} ({})", address, name),
             state_cell(text_in(server, "state")), {admin, tint_of(admin)},
             format("{:.0f}{}{}", weight, weight != written ? format(" (written: {:.0f})", written) : "",
                    flag_in(server, "backup") ? " backup" : ""),
             count_text(number_in(server, "load")), connections, count_text(number_in(totals, "requests")),
             count_text(number_in(totals, "errors") + number_in(totals, "failures")), check, text_in(server, "reason")});
}

}  // namespace

std::string status_view(const Json& status, bool coloured) {
  const Json& services = part_of(status, "services");
  const Json& totals = part_of(status, "totals");
  const Json& rates = part_of(status, "rates");
  const Json& now = part_of(status, "now");
  std::string out;
  const auto line = [&](const char* what, const std::string& text) { out += format("{:<13}{}\n", what, printable(text)); };
  const std::string state = text_in(status, "state");
  out += format("{:<13}{}, version {}, pid {:.0f}, since {} ({})\n", "sallyport", tinted(state, tint_of(state), coloured),
                printable(text_in(status, "version")), number_in(status, "pid"),
                time_text(static_cast<int64_t>(number_in(status, "started"))), ago(status, "started", now));
  line("config", format("{}, {}", text_in(status, "config"), counted(number_in(status, "workers"), "worker")));
  std::string parts = counted(number_in(services, "total"), "service");
  for (const char* kind : {"up", "degraded", "down", "left_out"})
    if (const double count = number_in(services, kind); count > 0)
      parts += format(", {:.0f} {}", count, std::string_view(kind) == "left_out" ? "left out" : kind);
  line("services", parts);
  line("connections", format("{:.0f} open of at most {:.0f}; {} in all, {}/s", number_in(status, "sessions"),
                             number_in(status, "max_connections"), count_text(number_in(totals, "connections")),
                             rate_text(number_in(rates, "connections"))));
  line("requests", format("{} in all, {}/s; {} failed, {}/s", count_text(number_in(totals, "requests")),
                          rate_text(number_in(rates, "requests")), count_text(number_in(totals, "errors")),
                          rate_text(number_in(rates, "errors"))));
  line("traffic", format("{} received, {}/s; {} sent, {}/s", bytes_text(number_in(totals, "received_bytes")),
                         bytes_text(number_in(rates, "received_bytes")), bytes_text(number_in(totals, "sent_bytes")),
                         bytes_text(number_in(rates, "sent_bytes"))));
  line("handshakes", format("{}, {} failed; {} rejected", count_text(number_in(totals, "handshakes")),
                            count_text(number_in(totals, "handshake_failures")), count_text(number_in(totals, "rejected"))));
  const Json& certificates = part_of(status, "certificates");
  line("certificates", format("{:.0f}, {:.0f} of them end within 14 days", number_in(certificates, "total"),
                              number_in(certificates, "expiring")));
  const Json& log = part_of(status, "log");
  line("log", format("level {}, {} dropped", text_in(log, "level"), counted(number_in(log, "dropped"), "line")));
  const Json& reload = part_of(status, "reload");
  const Json& last = part_of(reload, "last");
  if (!last.empty())
    line("last reload", format("{} at {}, by {}{}", text_in(last, "result"),
                               time_text(static_cast<int64_t>(number_in(last, "time"))), text_in(last, "by"),
                               part_of(last, "faults").empty() ? std::string()
                                                               : ", " + counted(static_cast<double>(part_of(last, "faults").size()), "fault")));
  Table table({{"LISTENER"}, {"ADDRESS"}, {"STATE"}, {"SESSIONS", Align::right}, {"WHY"}});
  for (const Json& listener : part_of(status, "listeners"))
    for (const Json& bind : part_of(listener, "binds"))
      table.add({text_in(listener, "name"), text_in(bind, "address"), state_cell(text_in(bind, "state")),
                 count_text(number_in(listener, "sessions")), text_in(bind, "error")});
  if (!table.empty()) out += "\n" + table.text(coloured);
  if (!part_of(last, "faults").empty()) out += "\n" + faults_view(part_of(last, "faults"));
  return trimmed_lines(out);
}

std::string services_view(const Json& answer, bool coloured, size_t width) {
  Table table({{"SERVICE"}, {"MODE"}, {"STATE"}, {"SERVERS", Align::right}, {"OPEN", Align::right},
               {"REQ/S", Align::right}, {"ERR/S", Align::right}, {"IN/S", Align::right}, {"OUT/S", Align::right}, {"HOSTS"}, {"FILE"}});
  for (const Json& service : part_of(answer, "services")) {
    const Json& rates = part_of(service, "rates");
    const double errors = number_in(rates, "errors");
    table.add({text_in(service, "name"), text_in(service, "mode"), state_cell(text_in(service, "state")),
               servers_text(service), count_text(number_in(service, "sessions")), rate_text(number_in(rates, "requests")),
               {rate_text(errors), errors > 0 ? Tint::bad : Tint::none}, bytes_text(number_in(rates, "received_bytes")),
               bytes_text(number_in(rates, "sent_bytes")), list_text(part_of(service, "hosts")),
               text_in(service, "file") + (flag_in(service, "kept") ? " (a fault; its last good version)" : "")});
  }
  std::string out = table.empty() ? std::string("There is no service.\n") : table.text(coloured, width);
  for (const Json& left : part_of(answer, "left_out")) {
    out += format("\n{} is left out:\n", printable(text_in(left, "name")));
    out += faults_view(part_of(left, "faults"));
  }
  return trimmed_lines(out);
}

std::string service_view(const Json& service, bool coloured) {
  std::string out;
  const auto line = [&](const char* what, const std::string& text) {
    if (!text.empty()) out += format("{:<11}{}\n", what, printable(text));
  };
  const std::string state = text_in(service, "state");
  out += format("{:<11}{}\n", "service", tinted(printable(text_in(service, "name")), Tint::bold, coloured));
  out += format("{:<11}{}\n", "state", tinted(state, tint_of(state), coloured));
  line("mode", text_in(service, "mode"));
  line("file", format("{}:{:.0f}{}", text_in(service, "file"), number_in(service, "line"),
                      flag_in(service, "kept") ? " (a fault; this is its last good version)" : ""));
  line("listeners", list_text(part_of(service, "listeners"), 100));
  line("hosts", list_text(part_of(service, "hosts"), 100));
  line("paths", list_text(part_of(service, "paths"), 100));
  line("preset", text_in(service, "preset"));
  line("balance", text_in(service, "balance"));
  if (service.contains("sticky")) line("sticky", counted(number_in(service, "sticky"), "client") + " remembered");
  if (service.contains("queued")) line("queue", counted(number_in(service, "queued"), "client") + " waiting");
  const Json& totals = part_of(service, "totals");
  line("totals", format("{}, {}, {}, {}; {} received, {} sent", counted(number_in(totals, "connections"), "connection"),
                        counted(number_in(totals, "requests"), "request"), counted(number_in(totals, "errors"), "error"),
                        number_in(totals, "retries") == 1 ? "1 retry" : format("{:.0f} retries", number_in(totals, "retries")),
                        bytes_text(number_in(totals, "received_bytes")), bytes_text(number_in(totals, "sent_bytes"))));
  std::string statuses;
  for (const auto& [name, count] : part_of(totals, "status").items())
    if (count.is_number()) statuses += format("{}{} {}", statuses.empty() ? "" : ", ", name, count_text(count.get<double>()));
  line("answers", statuses);
  const Json& rates = part_of(service, "rates");
  line("now", format("{} requests/s, {} errors/s, {}/s received, {}/s sent; {:.0f} open", rate_text(number_in(rates, "requests")),
                     rate_text(number_in(rates, "errors")), bytes_text(number_in(rates, "received_bytes")),
                     bytes_text(number_in(rates, "sent_bytes")), number_in(service, "sessions")));
  const Json& servers = part_of(service, "servers");
  if (!servers.empty()) out += "\n" + servers_view(servers, coloured);
  return trimmed_lines(out);
}

std::string servers_view(const Json& servers, bool coloured) {
  Table table = server_table();
  for (const Json& server : servers) add_server(table, server);
  return table.empty() ? std::string("There is no server.\n") : table.text(coloured);
}

std::string sessions_view(const Json& answer, bool coloured, size_t width) {
  Table table({{"ID"}, {"CLIENT"}, {"LISTENER"}, {"PROTOCOL"}, {"STATE"}, {"SERVICE"}, {"SERVER"}, {"AGE", Align::right},
               {"IDLE", Align::right}, {"RECEIVED", Align::right}, {"SENT", Align::right}, {"REQUESTS", Align::right}, {"WHAT"}});
  for (const Json& session : part_of(answer, "sessions")) {
    const std::string host = text_in(session, "host");
    const std::string what = host.empty() ? text_in(session, "sni") : host + text_in(session, "path");
    table.add({text_in(session, "id"), text_in(session, "client"), text_in(session, "listener"), text_in(session, "protocol"),
               text_in(session, "state"), text_in(session, "service"), text_in(session, "server"),
               duration_text(number_in(session, "age_seconds")), duration_text(number_in(session, "idle_seconds")),
               bytes_text(number_in(session, "received_bytes")), bytes_text(number_in(session, "sent_bytes")),
               session.contains("requests") ? count_text(number_in(session, "requests")) : std::string(), what});
  }
  const double total = number_in(answer, "total");
  if (table.empty()) return total > 0 ? counted(total, "session") + "\n" : std::string("There is no session.\n");
  std::string out = table.text(coloured, width);
  if (static_cast<double>(table.rows()) < total)
    out += format("… {} of {:.0f}: --limit shows more\n", table.rows(), total);
  return out;
}

std::string certificates_view(const Json& answer, bool coloured) {
  Table table({{"FILE"}, {"NAMES"}, {"DAYS", Align::right}, {"ENDS"}, {"KEY"}, {"ISSUER"}, {"SERVICES"}});
  for (const Json& certificate : part_of(answer, "certificates")) {
    const double days = number_in(certificate, "days_left");
    std::string services = list_text(part_of(certificate, "services"));
    if (flag_in(certificate, "default")) services += services.empty() ? "(default)" : ", (default)";
    table.add({text_in(certificate, "file"), list_text(part_of(certificate, "names")),
               {format("{:.0f}", days), days < 0 ? Tint::bad : days < 14 ? Tint::warn : Tint::none},
               time_text(static_cast<int64_t>(number_in(certificate, "not_after"))).substr(0, 10), text_in(certificate, "key"),
               text_in(certificate, "issuer"), services});
  }
  std::string out = table.empty() ? std::string("There is no certificate with a key and a name.\n") : table.text(coloured);
  for (const Json& problem : part_of(answer, "problems"))
    out += format("{}: {}\n", printable(text_in(problem, "file")), printable(text_in(problem, "message")));
  return trimmed_lines(out);
}

std::string sticky_view(const Json& answer, bool coloured) {
  Table table({{"CLIENT"}, {"SERVER"}, {"IDLE", Align::right}});
  for (const Json& entry : part_of(answer, "entries"))
    table.add({text_in(entry, "client"), entry.contains("server") ? text_in(entry, "server") : std::string("(gone)"),
               duration_text(number_in(entry, "idle_seconds"))});
  std::string out = table.empty() ? std::string() : table.text(coloured);
  return out + format("{} of at most {:.0f}\n", counted(number_in(answer, "total"), "client"), number_in(answer, "size"));
}

std::string top_view(const Json& status, const Json& services, bool coloured, size_t width, size_t rows) {
  const Json& rates = part_of(status, "rates");
  const Json& counts = part_of(status, "services");
  const std::string state = text_in(status, "state");
  std::string out = format("sallyport {}, up {}   {:.0f} open   {} req/s   {} err/s   in {}/s   out {}/s\n",
                           tinted(state, tint_of(state), coloured), ago(status, "started", part_of(status, "now")),
                           number_in(status, "sessions"), rate_text(number_in(rates, "requests")),
                           rate_text(number_in(rates, "errors")), bytes_text(number_in(rates, "received_bytes")),
                           bytes_text(number_in(rates, "sent_bytes")));
  out += format("services: {:.0f} up, {:.0f} degraded, {:.0f} down, {:.0f} left out\n\n", number_in(counts, "up"),
                number_in(counts, "degraded"), number_in(counts, "down"), number_in(counts, "left_out"));
  const Json& list = part_of(services, "services");
  std::vector<const Json*> order;
  for (const Json& service : list) order.push_back(&service);
  // What is wrong first, then what is busy.
  const auto key = [](const Json& service) {
    const Json& rate = part_of(service, "rates");
    const std::string how = text_in(service, "state");
    return std::make_pair(how == "down" || how == "degraded" ? 1 : 0,
                          number_in(rate, "received_bytes") + number_in(rate, "sent_bytes") + number_in(rate, "requests"));
  };
  std::stable_sort(order.begin(), order.end(), [&](const Json* a, const Json* b) { return key(*a) > key(*b); });
  const size_t room = rows > 5 ? rows - 5 : 1;
  Table table({{"SERVICE"}, {"MODE"}, {"STATE"}, {"SERVERS", Align::right}, {"OPEN", Align::right}, {"QUEUED", Align::right},
               {"CONN/S", Align::right}, {"REQ/S", Align::right}, {"ERR/S", Align::right}, {"IN/S", Align::right},
               {"OUT/S", Align::right}});
  for (const Json* service : order) {
    if (table.rows() == room) break;
    const Json& rate = part_of(*service, "rates");
    const double errors = number_in(rate, "errors");
    table.add({text_in(*service, "name"), text_in(*service, "mode"), state_cell(text_in(*service, "state")),
               servers_text(*service), count_text(number_in(*service, "sessions")), count_text(number_in(*service, "queued")),
               rate_text(number_in(rate, "connections")), rate_text(number_in(rate, "requests")),
               {rate_text(errors), errors > 0 ? Tint::bad : Tint::none}, bytes_text(number_in(rate, "received_bytes")),
               bytes_text(number_in(rate, "sent_bytes"))});
  }
  return out + table.text(coloured, width);
}

std::string reload_view(const Json& report, bool diff, bool coloured) {
  std::string out;
  const auto changes = [&](const Json& names, const char* sign, const char* what, Tint tint) {
    for (const Json& name : names)
      if (name.is_string()) out += tinted(format("{} {}{}", sign, what, printable(name.get<std::string>())), tint, coloured) + "\n";
  };
  changes(part_of(report, "added"), "+", "", Tint::good);
  changes(part_of(report, "changed"), "~", "", Tint::warn);
  changes(part_of(report, "removed"), "-", "", Tint::bad);
  const Json& listeners = part_of(report, "listeners");
  changes(part_of(listeners, "opened"), "+", "listener ", Tint::good);
  changes(part_of(listeners, "closed"), "-", "listener ", Tint::bad);
  changes(part_of(listeners, "failed"), "!", "listener ", Tint::bad);
  if (const double count = number_in(report, "certificates"); count > 0)
    out += format("~ {:.0f} TLS context{}\n", count, count == 1 ? "" : "s");
  if (out.empty()) out = diff ? "Nothing would change.\n" : "Nothing has changed.\n";
  for (const Json& name : part_of(report, "kept"))
    if (name.is_string())
      out += format("{} has a fault: its last good version {}\n", printable(name.get<std::string>()), diff ? "would stay" : "stays");
  const std::string result = text_in(report, "result");
  if (result == "refused") out += format("gateway.yaml has a fault: the old one {}\n", diff ? "would stay" : "stays");
  if (!diff) out += format("{} in {:.0f} ms\n", tinted(result == "ok" ? "reloaded" : result, tint_of(result), coloured), number_in(report, "seconds") * 1000);
  return out;
}

std::string faults_view(const Json& faults) {
  std::string out;
  for (const Json& one : faults) {
    config::Fault fault;
    fault.severity = text_in(one, "severity") == "error" ? config::Severity::error : config::Severity::warning;
    fault.at = {printable(text_in(one, "file")), static_cast<int>(number_in(one, "line")),
                static_cast<int>(number_in(one, "column"))};
    fault.message = printable(text_in(one, "message"));
    fault.excerpt = printable(text_in(one, "excerpt"));
    out += fault.text();
    if (out.back() != '\n') out += '\n';
  }
  return out;
}

}  // namespace sallyport
