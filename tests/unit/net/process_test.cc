// Programs that are started: what they get, what is told of their end.
#include "net/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <sstream>

#include "catch.h"
#include "net/loop.h"

namespace sallyport {
namespace {

using namespace std::chrono_literals;

std::string temporary() {
  std::string name = "/tmp/sallyport-process-XXXXXX";
  const int fd = ::mkstemp(name.data());
  REQUIRE(fd >= 0);
  ::close(fd);
  return name;
}

std::string content(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

size_t inherited() {
  size_t count = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) ++count;
  }
  return count;
}

struct World {
  World() { std::signal(SIGPIPE, SIG_IGN); }
  Process::Outcome run(std::vector<std::string> command, std::string input = {},
                       std::chrono::milliseconds timeout = 60s) {
    std::optional<Process::Outcome> outcome;
    Process::Options options;
    options.command = std::move(command);
    options.environment = {"PATH=/usr/bin:/bin", "NAME=value"};
    options.input = std::move(input);
    options.timeout = timeout;
    auto process = Process::start(loop, std::move(options), [&](const Process::Outcome& seen) {
      outcome = seen;
      loop.stop();
    });
    if (!process) FAIL(process.error().text());
    loop.run();
    REQUIRE(outcome);
    return *outcome;
  }
  Loop loop;
  std::string file = temporary();
  ~World() { ::unlink(file.c_str()); }
};

TEST_CASE("process: gets its input whole, its arguments as they are, and no other environment") {
  World world;
  const std::string input(300'000, 'x');  // more than a pipe holds
  const auto outcome = world.run(
      {"/bin/sh", "-c", "wc -c >\"$1\"; echo \"$2 $NAME [$HOME]\" >>\"$1\"; ls /proc/self/fd | wc -l >>\"$1\"", "sh",
       world.file, "a 'b\" $c"},
      input);
  CHECK(outcome.ok());
  CHECK(outcome.text() == "");
  // ls has its three, the one it reads the folder with, and what this test was started with.
  CHECK(content(world.file) == "300000\na 'b\" $c value []\n" + std::to_string(4 + inherited()) + "\n");
}

TEST_CASE("process: its end is told, with what it said") {
  World world;
  CHECK(world.run({"sh", "-c", "echo no such host >&2; echo more >&2; exit 3"}).text() == "exit code 3: no such host");
  CHECK(world.run({"sh", "-c", "kill -TERM $$"}).text() == "killed by signal 15");
  CHECK(world.run({"true"}, std::string(300'000, 'x')).text() == "");  // what it does not read is no fault
  const auto loud = world.run({"sh", "-c", "yes '\x1b[31m' | head -c 200000 >&2; exit 1"});
  CHECK(loud.errors.size() == 1024);
  CHECK(loud.text() == "exit code 1: \\x1b[31m");
}

TEST_CASE("process: over its time it is killed, and what it started with it") {
  World world;
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = world.run({"sh", "-c", "sleep 600 & echo $! >\"$1\"; wait", "sh", world.file}, {}, 1s);
  CHECK(outcome.timed_out);
  CHECK(outcome.text() == "not done in time, and killed");
  CHECK(std::chrono::steady_clock::now() - begin < 300s);
  const int child = std::stoi(content(world.file));
  const auto gone = [&] {
    std::ifstream status("/proc/" + std::to_string(child) + "/stat");
    std::string pid, name, state;
    return !(status >> pid >> name >> state) || state == "Z";
  };
  for (int i = 0; i < 2000 && !gone(); ++i) ::usleep(10'000);
  CHECK(gone());
}

TEST_CASE("process: what it leaves running holds up nobody") {
  World world;
  CHECK(world.run({"sh", "-c", "sleep 5 & exit 0"}).ok());  // its stderr stays open
}

TEST_CASE("process: one that cannot be started") {
  World world;
  Process::Options options;
  options.command = {"/nonexistent/program"};
  auto process = Process::start(world.loop, std::move(options), [](const Process::Outcome&) { FAIL("called"); });
  REQUIRE_FALSE(process);
  CHECK(process.error().sys == ENOENT);
}

TEST_CASE("process: given up while it runs, and with its loop") {
  bool called = false;
  {
    World world;
    Process::Options options;
    options.command = {"/bin/sleep", "600"};
    auto process = Process::start(world.loop, std::move(options), [&](const Process::Outcome&) { called = true; });
    REQUIRE(process);
    process->reset();
  }
  CHECK_FALSE(called);
}

}  // namespace
}  // namespace sallyport
