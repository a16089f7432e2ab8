// What a proxy's job costs when nothing of a proxy is done: no checks, no timeouts, no logs, no limits. It is measured
// beside the others to know how much of a figure is the kernel's and OpenSSL's, and nghttp2's.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "crypt.h"
#include "http2.h"
#include "redirect.h"
#include "relay.h"
#include "servers.h"
#include "tls.h"

namespace {

using namespace bench_floor;

uint16_t port_of(const char* text) { return static_cast<uint16_t>(std::atoi(text)); }

int usage() {
  std::fputs(
      "bench_floor tcp PORT TO [--splice]               each connection to 127.0.0.1:TO\n"
      "bench_floor tls PORT TO CHAIN KEY [--release]    TLS from clients, none to the server\n"
      "bench_floor h2 PORT TO CHAIN KEY                 HTTP/2 over TLS from clients, HTTP/1.1 to the server\n"
      "bench_floor redirect PORT LOCATION               a 301 to LOCATION for each head\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  std::string_view what = argc > 1 ? argv[1] : "";
  std::string_view last = argv[argc - 1];
  bool splice = argc == 5 && last == "--splice";
  bool release = argc == 7 && last == "--release";
  Loop loop;
  // A relay belongs to the loop, which it leaves by itself.
  if (what == "tcp" && (argc == 4 || splice)) {
    loop.listen(port_of(argv[2]), [&loop, to = port_of(argv[3]), make = splice ? make_splice : make_copy](int client) {
      new Relay(loop, client, dial(to), make(), make());
    });
  } else if (what == "tls" && (argc == 6 || release)) {
    SSL_CTX* context = tls_context(argv[4], argv[5], release);
    if (!context) return 1;
    loop.listen(port_of(argv[2]), [&loop, to = port_of(argv[3]), context](int client) {
      auto [up, down] = make_tls(context);
      new Relay(loop, client, dial(to), std::move(up), std::move(down));
    });
  } else if (what == "h2" && argc == 6) {
    SSL_CTX* context = http2_context(argv[4], argv[5]);
    if (!context) return 1;
    auto servers = std::make_shared<Servers>(loop, port_of(argv[3]));
    loop.listen(port_of(argv[2]),
                [&loop, servers, context](int client) { new Http2(loop, *servers, context, client); });
  } else if (what == "redirect" && argc == 4) {
    loop.listen(port_of(argv[2]),
                [&loop, answer = redirect_to(argv[3])](int client) { new Redirect(loop, client, answer); });
  } else {
    return usage();
  }
  loop.run();
}
