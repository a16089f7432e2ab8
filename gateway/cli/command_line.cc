#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "cli/alerts_command.h"
#include "cli/certs_command.h"
#include "cli/commands.h"
#include "cli/demo_command.h"
#include "cli/explain_command.h"
#include "cli/gateway_commands.h"

namespace sallyport {

int command_line(int argc, char** argv) {
  CLI::App app{"sallyport: one IP for everything you run"};
  app.set_version_flag("--version", std::string("sallyport ") + SALLYPORT_VERSION);
  app.require_subcommand(1);
  int code = 0;

  std::string directory = "/etc/sallyport";
  auto add_directory = [&](CLI::App* command) {
    command->add_option("-c,--config", directory, "the configuration folder")->capture_default_str();
  };

  auto* run = app.add_subcommand("run", "serve");
  add_directory(run);
  run->callback([&] { code = run_command(directory); });

  auto* check = app.add_subcommand("check", "read everything, report every fault, change nothing");
  add_directory(check);
  check->callback([&] { code = check_command(directory); });

  std::string socket;
  auto* health = app.add_subcommand("health", "ask a running gateway whether it serves");
  add_directory(health);
  health->add_option("--socket", socket, "its admin socket");
  health->callback([&] { code = health_command(directory, socket); });

  CertsOptions certs;
  auto* certificates = app.add_subcommand("certs", "certificates of a running gateway; more in its own commands");
  auto* list = certificates->add_subcommand("list", "what is in the certificates folder, and who uses it");
  add_directory(list);
  list->callback([&] {
    certs.config_directory = directory;
    code = run_certs_list(certs);
  });
  auto* init_ca = certificates->add_subcommand("init-ca", "make a certificate authority for this network");
  add_directory(init_ca);
  init_ca->add_option("--name", certs.ca_name, "what devices will call it");
  init_ca->callback([&] {
    certs.config_directory = directory;
    code = run_certs_init_ca(certs);
  });
  auto* issue = certificates->add_subcommand("issue", "make a certificate for these names with that CA");
  add_directory(issue);
  issue->add_option("names", certs.names, "DNS names, wildcards, IP addresses")->required();
  issue->add_option("--days", certs.days, "how long it is good")->capture_default_str();
  issue->add_flag("--client", certs.client, "good for a client, too");
  issue->callback([&] {
    certs.config_directory = directory;
    code = run_certs_issue(certs);
  });

  add_alerts_commands(app, directory, code);

  std::string preset;
  auto* presets = app.add_subcommand("preset", "known-good values for a known server: which there are, or one of them");
  presets->add_option("name", preset, "the one to print");
  presets->callback([&] { code = preset_command(preset); });

  add_explain_commands(app, code);

  DemoOptions demo;
  const CLI::Range unprivileged(1024, 65535);
  auto* demonstrate =
      app.add_subcommand("demo", "a gateway with sample servers and things to try, on unprivileged ports");
  demonstrate->add_option("--http-port", demo.http_port)->check(unprivileged)->capture_default_str();
  demonstrate->add_option("--https-port", demo.https_port)->check(unprivileged)->capture_default_str();
  demonstrate->add_option("--ssh-port", demo.ssh_port)->check(unprivileged)->capture_default_str();
  demonstrate->add_option("--tcp-port", demo.tcp_port)->check(unprivileged)->capture_default_str();
  demonstrate->callback([&] { code = demo_command(demo); });

  add_gateway_commands(app, *certificates, directory, code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sallyport: %s\n", error.what());
    return 1;
  }
  return code;
}

}  // namespace sallyport
