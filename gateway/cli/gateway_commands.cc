#include "cli/gateway_commands.h"

#include <cstdio>
#include <memory>

#include "admin/target.h"
#include "base/format.h"
#include "base/text.h"
#include "cli/asking.h"
#include "cli/gateway_views.h"
#include "cli/terminal.h"

namespace sallyport {
namespace {

// What was written on the command line; shared by the callbacks.
struct Words {
  Asking asking;
  std::string service, server, client, listener, sort, session, level, weight;
  unsigned limit = 0;
  unsigned times = 0;
  double interval = 2;
  bool watch = false;
  bool diff = false;
};
using Shared = std::shared_ptr<Words>;

int show_list(const Words& words, const std::string& target, const char* list, const std::function<std::string(const Json&)>& show) {
  const AdminClient client(words.asking.directory, words.asking.socket);
  return show_result(words.asking, answer_pages(client, target, list), show);
}

int sessions(const Words& words) {
  const std::string target = target_with("/api/v1/sessions", {{"service", words.service},
                                                              {"client", words.client},
                                                              {"listener", words.listener},
                                                              {"sort", words.sort},
                                                              {"limit", words.limit == 0 ? "" : std::to_string(words.limit)}});
  const bool colour = wants_colour();
  if (!words.watch)
    return ask_and_show(words.asking, {"GET", target}, [&](const Json& json) { return sessions_view(json, colour); });
  const AdminClient client(words.asking.directory, words.asking.socket);
  return live_view(words.interval, words.times, [&](bool terminal) -> Result<std::string> {
    if (words.asking.json) return answer_text(client, {"GET", target});
    auto json = answer_json(client, {"GET", target});
    if (!json) return json.error();
    return sessions_view(*json, colour, terminal ? terminal_size().columns : 0);
  });
}

int top(const Words& words) {
  const AdminClient client(words.asking.directory, words.asking.socket);
  return live_view(words.interval, words.times, [&](bool terminal) -> Result<std::string> {
    auto status = answer_json(client, {"GET", "/api/v1/status"});
    if (!status) return status.error();
    auto services = answer_pages(client, "/api/v1/services", "services");
    if (!services) return services.error();
    if (words.asking.json) {
      Json both;
      both["status"] = std::move(*status);
      both["services"] = std::move((*services)["services"]);
      return text_of(both) + "\n";
    }
    const TerminalSize size = terminal_size();
    return terminal ? top_view(*status, *services, wants_colour(), size.columns, size.rows)
                    : top_view(*status, *services, false, 0, 1000) + "\n";
  });
}

// "SERVICE/SERVER": a service's name has no slash, a server's may (unix:/run/app.sock).
Result<std::string> server_target(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size())
    return Error{Kind::config, Side::client, Retry::no, 0, "",
                 format("\"{}\" is not SERVICE/SERVER, such as nextcloud/10.0.0.14:443 (sallyport servers lists them)", text)};
  return format("/api/v1/servers/{}/{}", percent_encoded(text.substr(0, slash)), percent_encoded(text.substr(slash + 1)));
}

int change_server(const Words& words, const Json& change, const std::function<std::string(const Json&)>& show) {
  auto target = server_target(words.server);
  if (!target) return failed(target.error());
  return ask_and_show(words.asking, {"PATCH", *target, text_of(change)}, show);
}

int set_admin(const Words& words, const char* state) {
  Json change;
  change["admin"] = state;
  return change_server(words, change, [](const Json& server) {
    return format("service {}: server {} is {}\n", text_in(server, "service"), text_in(server, "server"), text_in(server, "admin"));
  });
}

int set_weight(const Words& words) {
  Json change;
  if (words.weight == "default") {
    change["weight"] = nullptr;
  } else {
    const auto number = parse_number(words.weight);
    if (!number)
      return failed(Error{Kind::config, Side::client, Retry::no, 0, "",
                          format("\"{}\" is no weight: a number from 0 to 256, or \"default\" for what is written", words.weight)});
    change["weight"] = *number;
  }
  return change_server(words, change, [](const Json& server) {
    return format("service {}: server {} has weight {:.0f}\n", text_in(server, "service"), text_in(server, "server"),
                  number_in(server, "weight"));
  });
}

int reload(const Words& words) {
  const AdminClient client(words.asking.directory, words.asking.socket);
  auto report = answer_json(client, {"POST", words.diff ? "/api/v1/reload?dry_run=true" : "/api/v1/reload", {}, std::chrono::seconds(120)});
  if (!report) return failed(report.error());
  if (!words.asking.json) {
    const std::string faults = faults_view(part_of(*report, "faults"));
    std::fwrite(faults.data(), 1, faults.size(), stderr);
  }
  const int shown = show_result(words.asking, report, [&](const Json& json) { return reload_view(json, words.diff, wants_colour()); });
  return shown != 0 || text_in(*report, "result") != "ok" ? 1 : 0;
}

int log_level(const Words& words) {
  if (words.level.empty()) {
    const AdminClient client(words.asking.directory, words.asking.socket);
    auto status = answer_json(client, {"GET", "/api/v1/status"});
    if (!status) return failed(status.error());
    return show_result(words.asking, Result<Json>(part_of(*status, "log")),
                       [](const Json& log) { return text_in(log, "level") + "\n"; });
  }
  Json change;
  change["level"] = words.level;
  return ask_and_show(words.asking, {"PUT", "/api/v1/log-level", text_of(change)},
                      [](const Json& json) { return format("the log level is {}\n", text_in(json, "level")); });
}

}  // namespace

void add_gateway_commands(CLI::App& app, CLI::App& certs, std::string& directory, int& code) {
  const auto words = std::make_shared<Words>();
  const auto finish = [words, &directory, &code](CLI::App* command, std::function<int(Words&)> run) {
    command->add_option("-c,--config", directory, "the configuration folder")->capture_default_str();
    command->add_option("--socket", words->asking.socket, "the admin socket of the gateway");
    command->add_flag("--json", words->asking.json, "the answer as it is, for scripts");
    command->callback([command, words, run, &directory, &code] {
      if (!command->get_subcommands().empty()) return;
      words->asking.directory = directory;
      code = run(*words);
    });
  };
  const auto repeats = [words](CLI::App* command) {
    command->add_option("--interval", words->interval, "seconds between two looks")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
    command->add_option("--times", words->times, "end after so many; 0: never");
  };

  finish(app.add_subcommand("status", "how a running gateway is"), [](Words& w) {
    return ask_and_show(w.asking, {"GET", "/api/v1/status"}, [](const Json& json) { return status_view(json, wants_colour()); });
  });

  auto* services = app.add_subcommand("services", "its services, or one of them");
  services->add_option("name", words->service, "the one to tell more of");
  finish(services, [](Words& w) {
    if (w.service.empty())
      return show_list(w, "/api/v1/services", "services", [](const Json& json) { return services_view(json, wants_colour()); });
    return ask_and_show(w.asking, {"GET", "/api/v1/services/" + percent_encoded(w.service)},
                        [](const Json& json) { return service_view(json, wants_colour()); });
  });

  auto* servers = app.add_subcommand("servers", "the servers behind them");
  servers->add_option("service", words->service, "of this service only");
  finish(servers, [](Words& w) {
    return show_list(w, target_with("/api/v1/servers", {{"service", w.service}}), "servers",
                     [](const Json& json) { return servers_view(part_of(json, "servers"), wants_colour()); });
  });

  auto* list = app.add_subcommand("sessions", "who is connected");
  list->add_option("--service", words->service, "of this service");
  list->add_option("--client", words->client, "from this address or network");
  list->add_option("--listener", words->listener, "through this listener");
  list->add_option("--sort", words->sort, "age, received, sent, idle or requests")
      ->check(CLI::IsMember({"age", "received", "sent", "idle", "requests"}));
  list->add_option("--limit", words->limit, "at most so many; 100 unless told");
  list->add_flag("--watch", words->watch, "again and again");
  repeats(list);
  finish(list, [](Words& w) { return sessions(w); });

  const std::pair<const char*, std::pair<const char*, const char*>> kStates[] = {
      {"enable", {"enabled", "a server takes clients again"}},
      {"disable", {"disabled", "no clients for a server; what is open goes on"}},
      {"drain", {"draining", "no new clients for a server, but those that stick to it"}}};
  for (const auto& [name, what] : kStates) {
    auto* command = app.add_subcommand(name, what.second);
    command->add_option("server", words->server, "SERVICE/SERVER")->required();
    finish(command, [state = what.first](Words& w) { return set_admin(w, state); });
  }

  auto* weight = app.add_subcommand("weight", "a server's share of the clients");
  weight->add_option("server", words->server, "SERVICE/SERVER")->required();
  weight->add_option("weight", words->weight, "0 to 256, or \"default\": what is written")->required();
  finish(weight, [](Words& w) { return set_weight(w); });

  auto* kill = app.add_subcommand("kill", "cut a session");
  kill->add_option("session", words->session, "its id, as `sallyport sessions` shows it")->required();
  finish(kill, [](Words& w) {
    return ask_and_show(w.asking, {"DELETE", "/api/v1/sessions/" + percent_encoded(w.session)},
                        [](const Json& json) { return format("session {} is cut\n", text_in(json, "killed")); });
  });

  auto* sticky = app.add_subcommand("sticky", "which client has which server (sticky by source)");
  sticky->require_subcommand(1);
  auto* shown = sticky->add_subcommand("show", "the clients that are remembered");
  shown->add_option("service", words->service)->required();
  shown->add_option("--limit", words->limit, "at most so many; 1000 unless told");
  finish(shown, [](Words& w) {
    return ask_and_show(w.asking, {"GET", target_with("/api/v1/sticky", {{"service", w.service}, {"limit", w.limit == 0 ? "" : std::to_string(w.limit)}})},
                        [](const Json& json) { return sticky_view(json, wants_colour()); });
  });
  auto* clear = sticky->add_subcommand("clear", "forget them, or one of them");
  clear->add_option("service", words->service)->required();
  clear->add_option("--client", words->client, "this one only");
  finish(clear, [](Words& w) {
    return ask_and_show(w.asking, {"DELETE", target_with("/api/v1/sticky", {{"service", w.service}, {"client", w.client}})},
                        [](const Json& json) {
                          const double count = number_in(json, "forgotten");
                          return format("{:.0f} client{} forgotten\n", count, count == 1 ? "" : "s");
                        });
  });

  auto* level = app.add_subcommand("log-level", "what is logged, until the gateway is restarted");
  level->add_option("level", words->level, "error, warn, info or debug; without it: what it is now")
      ->check(CLI::IsMember({"error", "warn", "info", "debug"}));
  finish(level, [](Words& w) { return log_level(w); });

  auto* view = app.add_subcommand("top", "what goes on, as it goes on; q ends it");
  repeats(view);
  finish(view, [](Words& w) { return top(w); });

  auto* again = app.add_subcommand("reload", "read all files again");
  again->add_flag("--diff", words->diff, "only tell what would change");
  finish(again, [](Words& w) { return reload(w); });

  finish(&certs, [](Words& w) {
    return ask_and_show(w.asking, {"GET", "/api/v1/certificates"}, [](const Json& json) { return certificates_view(json, wants_colour()); });
  });
}

}  // namespace sallyport
