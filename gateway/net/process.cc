#include "net/process.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "net/loop.h"

namespace sallyport {
namespace {

constexpr size_t kMostErrors = 1024;
// How long the last words may take once the program has ended; what it left running may hold its stderr for ever.
constexpr uint64_t kLastWordsMs = 200;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

// Lives until libuv has let go of all its handles: each closing handle holds it.
struct Process::State : std::enable_shared_from_this<Process::State> {
  Options options;
  std::function<void(const Outcome&)> done;
  Outcome outcome;
  uv_process_t process{};
  uv_pipe_t input{};
  uv_pipe_t errors{};
  uv_timer_t timer{};
  uv_write_t writing{};
  uv_shutdown_t ending{};
  char buffer[512];
  std::vector<std::shared_ptr<State>> held;  // one for each open handle, so that it outlives their callbacks
  bool running = false;
  bool exited = false;
  bool errors_open = true;
  bool closed = false;

  static State& of(void* handle) { return *static_cast<State*>(static_cast<uv_handle_t*>(handle)->data); }
  template <class Handle>
  void hold(Handle& handle) {
    handle.data = this;
    held.push_back(shared_from_this());
  }
  template <class Handle>
  void close(Handle& handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), [](uv_handle_t* h) {
      auto& all = State::of(h).held;
      const auto perhaps_the_last = std::move(all.back());
      all.pop_back();
    });
  }

  void kill_all() {
    if (!running || exited) return;
    // It leads a process group of its own (UV_PROCESS_DETACHED).
    if (::kill(-process.pid, SIGKILL) != 0) uv_process_kill(&process, SIGKILL);
  }
  void close_all() {
    if (closed) return;
    closed = true;
    close(input);
    close(errors);
    close(timer);
    if (running) close(process);
  }
  void finish() {
    const auto self = shared_from_this();
    close_all();
    if (auto call = std::exchange(done, {})) call(outcome);
  }
  void on_exit(int64_t code, int signal) {
    exited = true;
    outcome.code = static_cast<int>(code);
    outcome.signal = signal;
    // What it started and left behind after its time was over.
    if (outcome.timed_out) ::kill(-process.pid, SIGKILL);
    if (!errors_open) return finish();
    uv_timer_start(
        &timer, [](uv_timer_t* t) { State::of(t).finish(); }, kLastWordsMs, 0);
  }
  void on_errors(ssize_t count) {
    if (count > 0) {
      const size_t room = kMostErrors - outcome.errors.size();
      outcome.errors.append(buffer, std::min(room, static_cast<size_t>(count)));
      return;
    }
    if (count == 0) return;
    errors_open = false;
    uv_read_stop(reinterpret_cast<uv_stream_t*>(&errors));
    if (exited && !closed) finish();
  }
  void write_input() {
    uv_buf_t piece = uv_buf_init(options.input.data(), static_cast<unsigned>(options.input.size()));
    writing.data = this;
    // A program that reads nothing of it is no fault: it may go by its environment.
    const int wrote = uv_write(&writing, reinterpret_cast<uv_stream_t*>(&input), &piece, 1, [](uv_write_t* w, int) {
      auto& state = *static_cast<State*>(w->data);
      if (!state.closed) state.shut_input();
    });
    if (wrote != 0) shut_input();
  }
  void shut_input() {
    uv_shutdown(&ending, reinterpret_cast<uv_stream_t*>(&input), [](uv_shutdown_t*, int) {});
  }
};

Result<std::unique_ptr<Process>> Process::start(Loop& loop, Options options, std::function<void(const Outcome&)> done) {
  auto state = std::make_shared<State>();
  State& s = *state;
  s.options = std::move(options);
  s.done = std::move(done);
  uv_loop_t* uv = loop.uv();
  uv_pipe_init(uv, &s.input, 0);
  uv_pipe_init(uv, &s.errors, 0);
  uv_timer_init(uv, &s.timer);
  s.hold(s.input);
  s.hold(s.errors);
  s.hold(s.timer);

  std::vector<char*> arguments = pointers(s.options.command);
  std::vector<char*> environment = pointers(s.options.environment);
  uv_stdio_container_t stdio[3];
  stdio[0].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_READABLE_PIPE);
  stdio[0].data.stream = reinterpret_cast<uv_stream_t*>(&s.input);
  stdio[1].flags = UV_IGNORE;
  stdio[2].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
  stdio[2].data.stream = reinterpret_cast<uv_stream_t*>(&s.errors);
  uv_process_options_t how{};
  how.file = arguments.front();
  how.args = arguments.data();
  how.env = environment.data();
  how.cwd = "/";
  how.flags = UV_PROCESS_DETACHED;
  how.stdio = stdio;
  how.stdio_count = 3;
  how.exit_cb = [](uv_process_t* p, int64_t code, int signal) { State::of(p).on_exit(code, signal); };
  s.process.data = &s;
  const int failed = uv_spawn(uv, &s.process, &how);
  // Also one that was not started is a handle from here on.
  s.hold(s.process);
  s.running = true;
  if (failed != 0) {
    s.exited = true;
    s.close_all();
    return Error{Kind::io, Side::internal, Retry::no, -failed, "start", s.options.command.front()};
  }
  uv_timer_start(
      &s.timer,
      [](uv_timer_t* t) {
        State& late = State::of(t);
        late.outcome.timed_out = true;
        late.kill_all();
      },
      static_cast<uint64_t>(s.options.timeout.count()), 0);
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&s.errors),
      [](uv_handle_t* h, size_t, uv_buf_t* out) {
        *out = uv_buf_init(State::of(h).buffer, sizeof State::of(h).buffer);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t*) { State::of(stream).on_errors(count); });
  s.write_input();
  return std::unique_ptr<Process>(new Process(std::move(state)));
}

Process::~Process() {
  // Its end is still waited for, or it would stay a zombie: finish() closes the handles then.
  state_->done = {};
  state_->kill_all();
}

std::string Process::Outcome::text() const {
  if (ok()) return {};
  std::string out = timed_out     ? "not done in time, and killed"
                    : signal != 0 ? format("killed by signal {}", signal)
                                  : format("exit code {}", code);
  const std::string_view line = trim(std::string_view(errors).substr(0, errors.find('\n')));
  if (!line.empty()) out += ": " + escaped(line, 300);
  return out;
}

}  // namespace sallyport
