#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "poller.h"

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "serve" && argc == 3) return poller_bench::serve(argv[2]);
  if (mode == "load" && argc == 7)
    return poller_bench::load(std::atoi(argv[2]), argv[3][0], std::atoi(argv[4]), std::atoi(argv[5]),
                              std::atol(argv[6]));
  if (mode == "check" && argc == 2) return poller_bench::check();
  std::fputs(
      "usage: poller_bench serve per-socket|outside|inside|inside-eagain|plain\n"
      "       poller_bench load PORT k|c|b ACTIVE IDLE REQUESTS\n"
      "       poller_bench check\n",
      stderr);
  return 2;
}
