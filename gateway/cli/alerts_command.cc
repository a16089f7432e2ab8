#include "cli/alerts_command.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/format.h"
#include "config/load.h"
#include "net/loop.h"
#include "net/process.h"
#include "runtime/alert_changes.h"
#include "runtime/alert_message.h"
#include "runtime/alert_sender.h"

namespace sallyport {
namespace {

using AlertPtr = std::shared_ptr<const config::Alert>;

// All at once; each line is printed when its outcome is there.
class Test {
 public:
  explicit Test(std::vector<AlertPtr> alerts) : alerts_(std::move(alerts)) {}

  // How many were not reached.
  size_t run() {
    AlertMessage made;
    made.gateway = host_name();
    made.changes.push_back(test_change(made.gateway));
    made.time = made.changes.front().time;
    made.id = format("test-{:x}", made.time);
    const auto message = std::make_shared<const AlertMessage>(std::move(made));
    left_ = alerts_.size();
    AlertSender sender([this](AlertSender::Outcome outcome) {
      loop_.post([this, outcome = std::move(outcome)] { ended(*outcome.alert, outcome.sent, outcome.why); });
    });
    std::vector<std::unique_ptr<Process>> programs;
    for (const AlertPtr& alert : alerts_) {
      if (alert->kind != config::Alert::Kind::exec) {
        if (!sender.send({alert, message, 1})) ended(*alert, false, "libcurl could not be started");
        continue;
      }
      Process::Options options;
      options.command = alert->command;
      options.environment = exec_environment(*message);
      options.input = message->json();
      options.timeout = alert->timeout;
      auto started = Process::start(loop_, std::move(options), [this, alert](const Process::Outcome& outcome) {
        ended(*alert, outcome.ok(), outcome.text());
      });
      if (started)
        programs.push_back(std::move(*started));
      else
        ended(*alert, false, started.error().text());
    }
    if (left_ > 0) loop_.run();
    return failed_;
  }

 private:
  void ended(const config::Alert& alert, bool sent, const std::string& why) {
    if (sent) {
      std::printf("sent    %s %s\n", name_of(alert.kind), alert.name.c_str());
    } else {
      ++failed_;
      std::printf("FAILED  %s %s: %s\n", name_of(alert.kind), alert.name.c_str(), why.c_str());
    }
    std::fflush(stdout);
    if (--left_ == 0) loop_.stop();
  }

  std::vector<AlertPtr> alerts_;
  Loop loop_;
  size_t left_ = 0;
  size_t failed_ = 0;
};

}  // namespace

int alerts_test_command(const std::filesystem::path& directory, const std::string& name) {
  std::signal(SIGPIPE, SIG_IGN);
  const config::Config config = config::load(directory);
  if (config.gateway_faulty) {
    for (const config::Fault& fault : config.faults)
      if (fault.service.empty()) std::fprintf(stderr, "%s\n", fault.text().c_str());
    return 1;
  }
  std::vector<AlertPtr> alerts;
  for (const config::Alert& alert : config.gateway.alerts)
    if (name.empty() || alert.name == name) alerts.push_back(std::make_shared<const config::Alert>(alert));
  if (alerts.empty()) {
    if (name.empty())
      std::fprintf(stderr, "gateway.yaml has no alerts: nobody would be told\n");
    else
      std::fprintf(stderr, "gateway.yaml has no alert of the name \"%s\"\n", name.c_str());
    return 1;
  }
  return Test(std::move(alerts)).run() == 0 ? 0 : 1;
}

void add_alerts_commands(CLI::App& app, std::string& directory, int& code) {
  auto* alerts = app.add_subcommand("alerts", "who is told when something changes");
  alerts->require_subcommand(1);
  auto* test = alerts->add_subcommand("test", "send a test to all of them, or to one, and tell what became of it");
  test->add_option("-c,--config", directory, "the configuration folder")->capture_default_str();
  auto name = std::make_shared<std::string>();
  test->add_option("name", *name, "the one to test, as the log calls it");
  test->callback([&directory, &code, name] { code = alerts_test_command(directory, *name); });
}

}  // namespace sallyport
