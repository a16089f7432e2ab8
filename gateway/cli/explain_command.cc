#include "cli/explain_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "admin/schema.h"
#include "base/format.h"
#include "base/log.h"
#include "cli/asking.h"
#include "cli/doctor/doctor.h"
#include "cli/offline.h"
#include "net/resolver.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kNames{3'000};

std::string target_of(const ExplainRequest& request) {
  return target_with("/api/v1/explain", {{"target", request.target},
                                         {"from", request.from},
                                         {"to", request.to},
                                         {"via", request.via},
                                         {"sni", request.sni},
                                         {"method", request.method},
                                         {"client_certificate", request.client_certificate ? "" : "none"}});
}

nlohmann::ordered_json explain_offline(const ExplainOptions& options) {
  const auto snapshot = snapshot_offline(options.directory);
  log::set_level(log::Level::error);  // what does not resolve is told in the answer
  resolve_servers(*snapshot, kNames);
  nlohmann::ordered_json out = explain(*snapshot, options.request);
  out["offline"] = true;
  return out;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

int explain_command(const ExplainOptions& options) {
  nlohmann::ordered_json answer;
  std::string why;
  if (!options.offline) {
    const auto told = AdminClient(options.directory, options.socket).ask("GET", target_of(options.request));
    if (told) answer = nlohmann::ordered_json::parse(told->body, nullptr, false);
    if (!told || !answer.is_object() || !(answer.contains("outcome") || answer.contains("error"))) {
      why = told ? format("the gateway answered {}", told->status) : told.error().detail;
      answer = nullptr;
    }
  }
  if (answer.is_null()) {
    if (!why.empty())
      std::fprintf(stderr, "%s\nTold from %s, without the state of servers.\n\n", why.c_str(),
                   options.directory.c_str());
    answer = explain_offline(options);
  }
  if (options.json)
    print(answer.dump(2) + "\n");
  else if (answer.contains("error"))
    std::fputs(explain_text(answer).c_str(), stderr);
  else
    print(explain_text(answer));
  const int code = answer.contains("error") ? 1 : 0;
  if (Resolver::pending() > 0) {  // nobody waits for a name server that is silent
    std::fflush(stdout);
    std::_Exit(code);
  }
  return code;
}

void add_explain_commands(CLI::App& app, int& code) {
  const auto common = [](CLI::App* command, std::filesystem::path& directory, std::string& socket, bool& json) {
    command->add_option("-c,--config", directory, "the configuration folder")->capture_default_str();
    command->add_option("--socket", socket, "the admin socket of a running gateway");
    command->add_flag("--json", json, "for scripts");
  };

  auto options = std::make_shared<ExplainOptions>();
  auto* explain = app.add_subcommand("explain", "what happens to a client, and why, without sending anything");
  common(explain, options->directory, options->socket, options->json);
  ExplainRequest& request = options->request;
  explain->add_option("target", request.target, "a URL, a host, or HOST:PORT")->required();
  explain->add_option("--from", request.from, "the client's IP address");
  explain->add_option("--to", request.to, "the address it connects to, where listeners share a port");
  explain->add_option("--via", request.via, "a proxy that names the client in a PROXY header");
  explain->add_option("--sni", request.sni, "the name the TLS connection was made for, if another; - for none");
  explain->add_option("--method", request.method)->capture_default_str();
  explain->add_flag("!--no-client-certificate", request.client_certificate, "the client has no certificate to show");
  explain->add_flag("--offline", options->offline, "by the files alone, also when a gateway runs");
  explain->callback([options, &code] { code = explain_command(*options); });

  auto doctor = std::make_shared<DoctorOptions>();
  auto* examine = app.add_subcommand("doctor", "look for what is wrong around the gateway, and say what to do");
  common(examine, doctor->directory, doctor->socket, doctor->json);
  examine->callback([doctor, &code] { code = doctor_command(*doctor); });

  auto which = std::make_shared<std::string>("service");
  auto* schema = app.add_subcommand("schema", "the JSON Schema of configuration files, for editors");
  schema->add_option("which", *which, "service or gateway")
      ->check(CLI::IsMember({"service", "gateway"}))
      ->capture_default_str();
  schema->callback([which, &code] {
    print((*which == "gateway" ? gateway_schema() : service_schema()).dump(2) + "\n");
    code = 0;
  });
}

}  // namespace sallyport
