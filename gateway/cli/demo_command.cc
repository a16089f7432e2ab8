#include "cli/demo_command.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <utility>

#include "admin/admin_server.h"
#include "base/format.h"
#include "base/log.h"
#include "cli/demo/demo_folder.h"
#include "cli/demo/demo_text.h"
#include "cli/demo/sample_servers.h"
#include "net/signals.h"
#include "net/socket.h"
#include "runtime/control.h"

namespace sallyport {
namespace {

using namespace demo;

int failed(const std::string& why) {
  std::string text = format("sallyport demo: {}\n", why);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return 1;
}

void set_signals_blocked(bool blocked) {
  sigset_t some;
  sigemptyset(&some);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&some, number);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &some, nullptr);
}

// Names under .localhost lead to ::1 first: another program there would answer in the gateway's place.
Status probe(uint16_t port) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    auto address = Address::parse_ip(host, port);
    if (!address) return address.error();
    auto free = probe_free(*address, true);
    if (!free && free.error().sys == EADDRINUSE) return free;
  }
  return success();
}

// Empty if every port can be had.
std::string taken_ports(const DemoOptions& options) {
  const std::pair<const char*, uint16_t> ports[] = {{"http-port", options.http_port},
                                                    {"https-port", options.https_port},
                                                    {"ssh-port", options.ssh_port},
                                                    {"tcp-port", options.tcp_port}};
  std::string text;
  for (auto at = std::begin(ports); at != std::end(ports); ++at) {
    for (auto before = std::begin(ports); before != at; ++before)
      if (before->second == at->second) return format("--{} and --{} are the same port\n", before->first, at->first);
    auto free = probe(at->second);
    if (free) continue;
    text += format("port {} is taken by another program; end that, or choose another port with --{}\n", at->second,
                   at->first);
  }
  return text;
}

Result<uint16_t> free_port() {
  ListenOptions options;
  options.reuse_port = false;
  auto address = Address::parse_ip("127.0.0.1", 0);
  if (!address) return address.error();
  auto fd = listen_on(*address, options);
  if (!fd) return fd.error();
  return local_address(fd->get()).port();
}

SampleServers::Make http_sample(std::string introduction) {
  return [introduction = std::move(introduction)] { return std::make_unique<HttpConversation>(introduction); };
}

Result<SamplePorts> add_samples(SampleServers& servers, const DemoCertificates& certificates) {
  SamplePorts ports;
  struct Sample {
    uint16_t& port;
    SampleServers::Make make;
    SampleTls tls{};
  };
  Sample samples[] = {
      {ports.edge, http_sample("This is the edge server, over plain HTTP.")},
      {ports.reencrypt, http_sample("This is the reencrypt server, over TLS of its own."),
       certificates.reencrypt_server},
      {ports.passthrough, http_sample("This is the passthrough server."), certificates.passthrough_server},
      {ports.http, http_sample("This is the http server, over plain HTTP.")},
      {ports.ssh, [] { return std::make_unique<SshConversation>(); }},
      {ports.tcp, [] { return std::make_unique<TcpConversation>(); }},
  };
  for (Sample& sample : samples) {
    auto port = servers.add(std::move(sample.make), std::move(sample.tls));
    if (!port) return port.error();
    sample.port = *port;
  }
  return ports;
}

// Runs the gateway on the folder, until a signal has ended it.
int serve(const fs::path& folder, const std::string& text) {
  Control control(folder);
  if (!control.prepare()) return failed("the gateway did not start; the log says why");
  // Of its own beside Control's, and longer: no signal may end the process between the gateway's end and the folder's.
  // A terminal that goes away ends the demo too.
  Signals signals(control.loop(), {SIGINT, SIGTERM, SIGHUP}, [](int number) {
    if (number == SIGHUP) kill(getpid(), SIGTERM);
  });
  AdminServer admin(control);
  // Runs when the gateway serves and listens to signals.
  control.loop().post([&text] {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    set_signals_blocked(false);
  });
  int code = control.run();
  set_signals_blocked(true);
  return code;
}

}  // namespace

int demo_command(const DemoOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  set_signals_blocked(true);
  if (std::string taken = taken_ports(options); !taken.empty()) {
    taken.pop_back();
    return failed(taken);
  }
  auto admin_port = free_port();
  if (!admin_port) return failed(admin_port.error().text());
  auto folder = TemporaryFolder::make();
  if (!folder) return failed(folder.error().text());
  auto certificates = make_certificates(folder->path());
  if (!certificates) return failed(certificates.error().text());
  int code = 1;
  {
    SampleServers servers;
    auto ports = add_samples(servers, *certificates);
    if (!ports) return failed(ports.error().text());
    if (auto written = write_configuration(folder->path(), options, *admin_port, *ports); !written)
      return failed(written.error().text());
    servers.start();
    code = serve(folder->path(), demo_text(folder->path(), options, *admin_port, *certificates));
  }
  log::stop();
  return code;
}

}  // namespace sallyport
