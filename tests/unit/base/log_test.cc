// The log and its targets: what is written where, what waits, and what is lost and told.
#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/log_stream.h"
#include "catch.h"

namespace sallyport::log {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "sallyport-log-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  fs::path path;
};

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

template <class Condition>
bool until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// What a sink of the tests does, told and asked from outside.
struct Script {
  std::mutex mutex;
  bool takes = true;
  bool dead = false;  // it has been destroyed
  int reopened = 0;
  std::string got;
  std::string levels;  // a letter a piece: e w i d, A for access
  std::string text() {
    std::lock_guard lock(mutex);
    return got;
  }
  void set(bool now) {
    std::lock_guard lock(mutex);
    takes = now;
  }
};

class ScriptSink final : public Sink {
 public:
  ScriptSink(std::shared_ptr<Script> script, Shape shape) : Sink("script"), script_(std::move(script)), shape_(shape) {}
  ~ScriptSink() override {
    std::lock_guard lock(script_->mutex);
    script_->dead = true;
  }
  size_t write(const Piece& piece) override {
    std::lock_guard lock(script_->mutex);
    if (!script_->takes) return 0;
    script_->got += piece.lines;
    script_->levels += piece.access ? 'A' : "ewid"[static_cast<int>(piece.level)];
    return piece.lines.size();
  }
  bool reopen() override {
    std::lock_guard lock(script_->mutex);
    ++script_->reopened;
    return true;
  }
  Shape shape() const noexcept override { return shape_; }

 private:
  std::shared_ptr<Script> script_;
  Shape shape_;
};

std::shared_ptr<Script> start_script(Shape shape, Format format = Format::text) {
  auto script = std::make_shared<Script>();
  start(format, Level::debug, std::make_unique<ScriptSink>(script, shape));
  return script;
}

struct BackToStderr {
  ~BackToStderr() {
    start(Format::text, Level::info, 2);
    stop();
  }
};

std::string without_times(std::string text) {
  for (size_t at = text.find("Z "); at != std::string::npos; at = text.find("Z ", at + 1))
    if (at >= 23 && text[at - 4] == '.') text.replace(at - 23, 24, "TIME"), at -= 19;
  return text;
}

}  // namespace

TEST_CASE("log: lines have the shape of their target, and their level with them") {
  BackToStderr after;
  struct Row {
    Shape shape;
    const char* expected;
  };
  for (const Row& row : {Row{Shape::plain, "TIME error one\nTIME warn  two words\nTIME info  three\nTIME debug four\n"},
                         Row{Shape::stamped, "TIME one\nTIME two words\nTIME three\nTIME four\n"},
                         Row{Shape::fields, "MESSAGE=one\n\nMESSAGE=two words\n\nMESSAGE=three\n\nMESSAGE=four\n\n"}}) {
    auto script = start_script(row.shape);
    error("one");
    warn("two\nwords");
    info("three");
    debug("four");
    stop();
    CHECK(without_times(script->text()) == row.expected);
    CHECK(script->levels == "ewid");
  }
}

TEST_CASE("log: events are found again in a piece") {
  const std::string plain = "a b\nc\n";
  CHECK(first_event(plain, Shape::plain).message == "a b");
  CHECK(first_event(plain, Shape::plain).size == 4);
  CHECK(count_events(plain, Shape::plain) == 2);
  const std::string stamped = "2026-11-20T13:37:00.123Z a b\nx\n";
  CHECK(first_event(stamped, Shape::stamped).time == "2026-11-20T13:37:00.123Z");
  CHECK(first_event(stamped, Shape::stamped).message == "a b");
  CHECK(first_event("x\n", Shape::stamped).time.empty());
  CHECK(first_event("x\n", Shape::stamped).message == "x");
  const std::string fields = "MESSAGE=a\nA=1\nB=2\n\nMESSAGE=b\n\nMESSAGE=\n\n";
  const Event event = first_event(fields, Shape::fields);
  CHECK(event.message == "a");
  CHECK(event.fields == "A=1\nB=2\n");
  CHECK(first_event(std::string_view(fields).substr(event.size), Shape::fields).message == "b");
  CHECK(first_event(std::string_view(fields).substr(event.size), Shape::fields).fields.empty());
  CHECK(count_events(fields, Shape::fields) == 3);
  CHECK(first_event("x", Shape::plain).size == 1);
  CHECK(first_event("x", Shape::fields).size == 1);
}

TEST_CASE("log: a target that comes back gets what waited, and is told what did not fit") {
  BackToStderr after;
  auto script = start_script(Shape::plain);
  script->set(false);
  const uint64_t before = dropped();
  const std::string line = std::string(1023, 'x') + "\n";
  std::string two = line + line;
  for (int i = 0; i < 6000; ++i) write_raw(two);
  error("lines of its own have room still");
  const uint64_t lost = dropped() - before;
  CHECK(lost >= 12'000 - 2 * 4096);
  CHECK(lost % 2 == 0);
  script->set(true);
  CHECK(until([&] { return script->text().find("log lines were dropped") != std::string::npos; }));
  stop();
  const std::string text = script->text();
  // Perhaps in two parts: some may be missing before the thread has begun.
  uint64_t told = 0;
  for (size_t at = text.find(" log line"); at != std::string::npos; at = text.find(" log line", at + 1))
    told += std::stoull(text.substr(text.rfind(' ', at - 1) + 1));
  CHECK(told == lost);
  CHECK(text.find("lines of its own have room still") != std::string::npos);
  size_t whole = 0;
  for (size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + line.size())) ++whole;
  CHECK(whole == 12'000 - lost);
}

TEST_CASE("log: a target that takes nothing does not hold up the end") {
  BackToStderr after;
  auto script = start_script(Shape::plain);
  script->set(false);
  const uint64_t before = dropped();
  info("never seen");
  const auto began = std::chrono::steady_clock::now();
  stop();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(15));
  CHECK(dropped() == before + 1);
  info("straight to the target, which takes nothing");
  CHECK(dropped() == before + 2);
}

TEST_CASE("log: another target takes over what waits, and is asked to reopen") {
  BackToStderr after;
  auto first = start_script(Shape::fields);
  first->set(false);
  info("one");
  write_raw("MESSAGE=two\nA=b\n\n", Shape::fields);
  auto second = std::make_shared<Script>();
  start(Format::json, Level::warn, std::make_unique<ScriptSink>(second, Shape::plain));
  CHECK(until([&] { return second->text().find("two") != std::string::npos; }));
  {
    std::lock_guard lock(first->mutex);
    CHECK(first->dead);
  }
  info("not at this level");
  warn("three");
  reopen();
  CHECK(until([&] {
    std::lock_guard lock(second->mutex);
    return second->reopened == 1;
  }));
  stop();
  CHECK(second->text().starts_with("MESSAGE=one\n\nMESSAGE=two\nA=b\n\n"));
  CHECK(second->text().find("\"level\":\"warn\",\"message\":\"three\"}\n") != std::string::npos);
  CHECK(second->text().find("not at this level") == std::string::npos);
}

TEST_CASE("log file: moved away and reopened, deleted, cut, and its folder gone for a while") {
  Folder folder;
  FileSink sink(folder / "log");
  const auto put = [&](const char* lines) { return sink.write({lines}); };
  CHECK(put("one\n") == 4);
  fs::rename(folder / "log", folder / "log.1");
  CHECK(put("two\n") == 4);
  CHECK(sink.reopen());
  CHECK(put("three\n") == 6);
  CHECK(content(folder / "log.1") == "one\ntwo\n");
  CHECK(content(folder / "log") == "three\n");
  struct stat what {};
  REQUIRE(::stat((folder / "log").c_str(), &what) == 0);
  CHECK((what.st_mode & 0037) == 0);

  fs::remove(folder / "log");
  CHECK(put("four\n") == 5);
  CHECK(content(folder / "log") == "four\n");
  fs::resize_file(folder / "log", 0);  // logrotate's copytruncate
  CHECK(put("five\n") == 5);
  CHECK(content(folder / "log") == "five\n");

  fs::remove_all(folder.path);
  CHECK(put("six\n") == 0);
  CHECK(sink.why() == "No such file or directory");
  fs::create_directory(folder.path);
  CHECK(put("six\n") == 4);
  CHECK(content(folder / "log") == "six\n");

  // The new one cannot be opened: the old one goes on, until it can.
  fs::rename(folder / "log", folder / "log.1");
  fs::create_directory(folder / "log");
  CHECK_FALSE(sink.reopen());
  CHECK(put("seven\n") == 6);
  fs::remove(folder / "log");
  CHECK(put("eight\n") == 6);
  CHECK(content(folder / "log.1") == "six\nseven\n");
  CHECK(content(folder / "log") == "eight\n");
}

TEST_CASE("log file: lines made for journald are shown as people read them") {
  Folder folder;
  FileSink sink(folder / "log");
  const std::string fields = "MESSAGE=a\nA=1\n\nMESSAGE=b\n\n";
  CHECK(sink.write({fields, Level::info, true, Shape::fields}) == fields.size());
  CHECK(content(folder / "log") == "a\nb\n");
}

TEST_CASE("log file: what is no file, and what is full") {
  FileSink full("/dev/full");
  CHECK(full.write({"line\n"}) == 0);
  CHECK(full.why() == "No space left on device");

  Folder folder;
  const std::string fifo = folder / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  FileSink sink(fifo);
  CHECK(sink.write({"nobody reads\n"}) == 0);
  UniqueFd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
  REQUIRE(reader);
  CHECK(sink.write({"somebody reads\n"}) == 15);
  char buffer[64];
  CHECK(::read(reader.get(), buffer, sizeof buffer) == 15);
}

TEST_CASE("log stream: a reader that is gone loses lines, and counts them") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  StreamSink sink(write_end.get());
  CHECK(sink.write({"one\n"}) == 4);
  read_end.reset();
  ::signal(SIGPIPE, SIG_IGN);
  CHECK(sink.write({"two\nthree\n"}) == 10);
  CHECK(sink.take_lost() == 2);
  CHECK(sink.take_lost() == 0);
}

}  // namespace sallyport::log
