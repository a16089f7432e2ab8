// The load and the servers of tests/bench that wrk, h2load and nginx do not have. What it prints is read by
// harness/load.py.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>

#include "load.h"

namespace {

int usage() {
  std::fputs(
      "bench_load serve PORT                    WebSocket echo, and bodies counted\n"
      "bench_load records PORT CHAIN KEY FILE   FILE in small TLS records, with pauses\n"
      "bench_load handshakes PORT HOST THREADS SECONDS PATH FILE full|resumed\n"
      "bench_load websocket PORT HOST THREADS SECONDS BYTES\n"
      "bench_load rate PORT HOST CONNECTIONS SECONDS PATH FILE RATE\n",
      stderr);
  return 2;
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

uint16_t port_of(const char* text) { return static_cast<uint16_t>(std::atoi(text)); }

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "serve" && argc == 3) return bench::serve(port_of(argv[2]));
  if (what == "records" && argc == 6)
    return bench::serve_records(port_of(argv[2]), argv[3], argv[4], read_file(argv[5]));
  bench::LoadOptions options{};
  if (argc < 7) return usage();
  options.port = port_of(argv[2]);
  options.host = argv[3];
  options.threads = std::atoi(argv[4]);
  options.seconds = std::atof(argv[5]);
  if (what == "websocket" && argc == 7) {
    options.message = static_cast<size_t>(std::atoi(argv[6]));
    return bench::websocket(options);
  }
  if ((what != "handshakes" && what != "rate") || argc != 9) return usage();
  options.path = argv[6];
  options.body = read_file(argv[7]);
  if (what == "rate") {
    options.rate = std::atof(argv[8]);
    return bench::rate(options);
  }
  options.resume = std::string_view(argv[8]) == "resumed";
  return bench::handshakes(options);
}
