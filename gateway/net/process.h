// A program that is started without a shell, given bytes on its stdin, and a time. It has no descriptor of the
// gateway's but its three: stdout leads nowhere, and of stderr the beginning is kept for the log.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport {

class Loop;

class Process {
 public:
  struct Options {
    std::vector<std::string> command;      // a program, looked up in PATH if it has no "/", and its arguments
    std::vector<std::string> environment;  // "NAME=value"; nothing of the gateway's own is added
    std::string input;
    std::chrono::milliseconds timeout{10'000};
  };
  struct Outcome {
    int code = 0;            // its exit code, if signal is 0
    int signal = 0;          // what killed it
    bool timed_out = false;  // then it and what it had started was killed
    std::string errors;      // the first 1024 bytes of its stderr
    bool ok() const noexcept { return code == 0 && signal == 0 && !timed_out; }
    // For a log, in one line: "exit code 1: no such host"; empty if all went well.
    std::string text() const;
  };

  // done: once, on the loop's thread, never within start(); it may destroy the Process. Error: it was not started.
  static Result<std::unique_ptr<Process>> start(Loop& loop, Options options, std::function<void(const Outcome&)> done);
  // Kills it and what it had started; done is not called.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

 private:
  struct State;
  explicit Process(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace sallyport
