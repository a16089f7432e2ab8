// Which changes are told, when, and of which folders. Real inotify, in a temporary folder.
#include "net/file_watcher.h"

#include <sys/inotify.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "catch.h"
#include "net/loop.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

class Place {
 public:
  Place() {
    std::string pattern = (fs::temp_directory_path() / "sallyport-watch-XXXXXX").string();
    root = mkdtemp(pattern.data());
    fs::create_directories(root / "conf.d" / "sub");
  }
  ~Place() {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
  void write(const std::string& name, const std::string& text = "x") const { std::ofstream(root / name) << text; }
  fs::path root;
};

// Runs the loop until the watcher has told so often, or the time is over. What it told by then.
class Running final : private Deadline::Owner {
 public:
  explicit Running(const FileWatcher::Paths& paths) : watcher_(loop, [this] { tell(); }) { watcher_.watch(paths); }
  explicit Running(const Place& place) : Running(paths_of(place)) {}
  bool watch(const Place& place) { return watcher_.watch(paths_of(place)); }
  int run(int until_told, int ms) {
    wanted_ = told + until_told;
    loop.arm(end_, std::chrono::milliseconds(ms));
    if (told < wanted_) loop.run();
    return told;
  }
  FileWatcher& watcher() { return watcher_; }
  Loop loop;
  int told = 0;

 private:
  static FileWatcher::Paths paths_of(const Place& place) {
    return {.folders = {place.root / "conf.d"}, .flat = {place.root}, .files = {place.root / "gateway.yaml"}};
  }
  void tell() {
    if (++told >= wanted_) loop.stop();
  }
  void on_deadline(Deadline&) override { loop.stop(); }
  int wanted_ = 0;
  FileWatcher watcher_;
  Deadline end_{*this};
};

// How many of this process's inotify watches hear of each write into a file (proc(5), /proc/PID/fdinfo).
int watches_for_writes() {
  int found = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);)
      if (const size_t mask = line.find(" mask:"); line.starts_with("inotify ") && mask != std::string::npos)
        found += (std::stoul(line.substr(mask + 6), nullptr, 16) & IN_MODIFY) != 0;
  }
  return found;
}

}  // namespace

TEST_CASE("watcher: passing files are told from those that count") {
  struct Row {
    const char* name;
    bool passing;
  };
  for (const Row& row : {Row{"a.yaml", false}, Row{"a.yaml~", true}, Row{".a.yaml.swp", true}, Row{"#a.yaml#", true},
                         Row{"4913", true}, Row{"a.yaml.tmp", true}, Row{"..data", false}, Row{".git", true},
                         Row{"", false}, Row{"#", true}, Row{"a#", false}, Row{"49130", false}}) {
    CAPTURE(row.name);
    CHECK(is_passing_file(row.name) == row.passing);
  }
}

TEST_CASE("watcher: one time of changes is told once, when it is over") {
  Place place;
  Running running(place);
  CHECK(running.watcher().watches() == 3);
  for (int i = 0; i < 20; ++i) place.write("conf.d/" + std::to_string(i) + ".yaml");
  place.write("gateway.yaml");
  const uint64_t begun = Loop::precise_now();
  CHECK(running.run(1, 20'000) == 1);
  CHECK(Loop::precise_now() - begun >= 400'000);
  CHECK(running.run(1, 1'200) == 1);  // nothing more
}

TEST_CASE("watcher: swap files and backups are not told; renames, removals and sub-folders are") {
  Place place;
  place.write("conf.d/sub/old.yaml");
  Running running(place);
  place.write("conf.d/.a.swp");
  place.write("conf.d/a~");
  CHECK(running.run(1, 1'200) == 0);
  place.write("conf.d/a.yaml.tmp");
  fs::rename(place.root / "conf.d/a.yaml.tmp", place.root / "conf.d/a.yaml");
  CHECK(running.run(1, 20'000) == 1);
  fs::remove(place.root / "conf.d/sub/old.yaml");
  CHECK(running.run(1, 20'000) == 2);
}

TEST_CASE("watcher: folders that came are found when it is asked again, and those that went are let go of") {
  Place place;
  Running running(place);
  fs::create_directories(place.root / "conf.d/new/deep");
  CHECK(running.run(1, 20'000) == 1);
  CHECK(running.watch(place));
  CHECK(running.watcher().watches() == 5);
  CHECK(running.run(1, 20'000) == 2);  // what was written there before it was watched
  place.write("conf.d/new/deep/a.yaml");
  CHECK(running.run(1, 20'000) == 3);
  CHECK(running.watch(place));
  fs::remove_all(place.root / "conf.d");
  CHECK(running.run(1, 20'000) == 4);
  CHECK(running.watch(place));
  CHECK(running.watcher().watches() == 1);
  fs::create_directories(place.root / "conf.d");
  CHECK(running.run(1, 20'000) == 5);  // an event of its parent
}

TEST_CASE("watcher: beside a folder that is watched only the folder itself counts") {
  Place place;
  const fs::path certs = place.root / "certs";
  fs::create_directories(certs);
  Running running({.folders = {place.root / "certs/"}, .flat = {}, .files = {}});
  CHECK(running.watcher().watches() == 2);
  CHECK(watches_for_writes() == 1);  // a log in the parent wakes nobody
  place.write("somebody-elses.log");
  fs::create_directories(place.root / "other");
  CHECK(running.run(1, 1'500) == 0);
  fs::rename(certs, place.root / "certs.old");
  CHECK(running.run(1, 20'000) == 1);
  REQUIRE(running.watcher().watch({.folders = {certs}, .flat = {}, .files = {}}));
  fs::create_directories(certs);
  CHECK(running.run(1, 20'000) == 2);
  REQUIRE(running.watcher().watch({.folders = {certs, place.root}, .flat = {}, .files = {}}));  // now all of the parent
  CHECK(watches_for_writes() == 6);
  CHECK(running.run(1, 20'000) == 3);  // the folder that came anew counts as changed
  place.write("gateway.yaml");
  CHECK(running.run(1, 20'000) == 4);
}

TEST_CASE("watcher: a folder that was swapped for another is watched from then on") {
  Place place;
  const fs::path own = place.root / "own";
  fs::create_directories(own / "certs");
  const FileWatcher::Paths paths{.folders = {own / "certs", place.root / "conf.d"}, .flat = {}, .files = {}};
  Running running(paths);
  const auto watch = [&] { return running.watcher().watch(paths); };
  fs::remove_all(place.root / "conf.d");
  fs::create_directories(place.root / "conf.d");
  CHECK(running.run(1, 20'000) == 1);
  CHECK(watch());
  CHECK(running.run(1, 20'000) == 2);  // what was written there before it was watched
  place.write("conf.d/a.yaml");
  CHECK(running.run(1, 20'000) == 3);
  CHECK(watch());
  CHECK(running.run(1, 1'000) == 3);
  fs::create_directories(place.root / "new/certs");
  fs::rename(own, place.root / "old");
  fs::rename(place.root / "new", own);
  CHECK(running.run(1, 20'000) == 4);  // the parent of the other one
  CHECK(watch());
  CHECK(running.run(1, 20'000) == 5);
  place.write("own/certs/a.pem");
  CHECK(running.run(1, 20'000) == 6);
}

TEST_CASE("watcher: a folder that a symlink names is found when it comes back") {
  Place place;
  fs::create_directories(place.root / "by/certs-1");
  fs::create_directory_symlink("by/certs-1/", place.root / "certs");
  const FileWatcher::Paths paths{.folders = {place.root / "certs"}, .flat = {}, .files = {}};
  Running running(paths);
  fs::remove_all(place.root / "by/certs-1");
  CHECK(running.run(1, 20'000) == 1);
  CHECK(running.watcher().watch(paths));
  place.write("by/somebody-elses.log");
  CHECK(running.run(1, 1'000) == 1);
  fs::create_directories(place.root / "by/certs-1");
  CHECK(running.run(1, 20'000) == 2);
}

TEST_CASE("watcher: where a symlink leads is watched, and loops of them end") {
  Place place;
  fs::create_directories(place.root / "archive");
  place.write("archive/cert1.pem");
  fs::create_symlink(place.root / "archive/cert1.pem", place.root / "conf.d/cert.pem");
  fs::create_symlink(place.root / "conf.d", place.root / "conf.d/loop");
  Running running(place);
  place.write("archive/cert1.pem", "new");
  CHECK(running.run(1, 20'000) == 1);
}

TEST_CASE(
    "watcher: of a file alone its writes, its replacement, its going and coming are told, and nothing beside it") {
  Place place;
  place.write("ca.pem");
  const FileWatcher::Paths files{.folders = {}, .flat = {}, .files = {place.root / "ca.pem"}};
  Running running(files);
  CHECK(watches_for_writes() == 1);
  place.write("somebody-elses.log");
  place.write("ca.pem.new");
  CHECK(running.run(1, 1'000) == 0);
  place.write("ca.pem", "in place");
  CHECK(running.run(1, 20'000) == 1);
  fs::rename(place.root / "ca.pem.new", place.root / "ca.pem");
  CHECK(running.run(1, 20'000) == 2);
  CHECK(running.watcher().watch(files));
  CHECK(running.run(1, 1'000) == 2);  // the new one is no news a second time
  place.write("ca.pem", "in place");
  CHECK(running.run(1, 20'000) == 3);
  fs::remove(place.root / "ca.pem");
  CHECK(running.run(1, 20'000) == 4);
  CHECK(running.watcher().watch(files));
  place.write("ca.pem");
  CHECK(running.run(1, 20'000) == 5);
  place.write("ca.pem", "before it is watched");
  CHECK(running.watcher().watch(files));
  CHECK(running.run(1, 20'000) == 6);
}

TEST_CASE("watcher: a file that becomes readable is told, and so is a symlink anywhere on the way to one") {
  Place place;
  fs::create_directories(place.root / "v1/tls");
  fs::create_directories(place.root / "v2/tls");
  place.write("v1/tls/ca.pem");
  place.write("v2/tls/ca.pem");
  fs::create_directory_symlink("v1", place.root / "current");
  const FileWatcher::Paths files{.folders = {}, .flat = {}, .files = {place.root / "current/tls/ca.pem"}};
  Running running(files);
  fs::permissions(place.root / "v1/tls/ca.pem", fs::perms::owner_read);
  CHECK(running.run(1, 20'000) == 1);
  fs::create_directory_symlink("v2", place.root / "next");
  fs::rename(place.root / "next", place.root / "current");
  CHECK(running.run(1, 20'000) == 2);
}

TEST_CASE("watcher: in a flat folder what comes, goes, or has been written is told, and not what is being written") {
  Place place;
  place.write("key.pem");
  std::ofstream log(place.root / "some.log");
  Running running({.folders = {}, .flat = {place.root}, .files = {}});
  CHECK(watches_for_writes() == 0);
  log << "a line" << std::flush;
  place.write("conf.d/below.yaml");
  CHECK(running.run(1, 1'000) == 0);
  place.write("key.pem", "another");
  CHECK(running.run(1, 20'000) == 1);
  place.write("chain.pem");
  CHECK(running.run(1, 20'000) == 2);
  fs::remove(place.root / "key.pem");
  CHECK(running.run(1, 20'000) == 3);
}

TEST_CASE("watcher: two paths to one file are one watch of it") {
  Place place;
  place.write("conf.d/a.yaml");
  fs::create_hard_link(place.root / "conf.d/a.yaml", place.root / "a.yaml");
  Running running({.folders = {}, .flat = {}, .files = {place.root / "conf.d/a.yaml", place.root / "a.yaml"}});
  place.write("a.yaml", "another");
  CHECK(running.run(1, 20'000) == 1);
  fs::remove(place.root / "a.yaml");
  CHECK(running.run(1, 20'000) == 2);
}

TEST_CASE("watcher: a file of a volume that is swapped as Kubernetes does it, by a symlink in the middle of its path") {
  Place place;
  const auto version = [&](const std::string& name) {
    fs::create_directories(place.root / name);
    place.write(name + "/ca.pem", name);
    fs::create_symlink(name, place.root / "..data_tmp");
    fs::rename(place.root / "..data_tmp", place.root / "..data");
  };
  version("..1");
  fs::create_symlink("..data/ca.pem", place.root / "ca.pem");
  const FileWatcher::Paths files{.folders = {}, .flat = {}, .files = {place.root / "ca.pem"}};
  Running running(files);
  version("..2");
  CHECK(running.run(1, 20'000) == 1);
  CHECK(running.watcher().watch(files));
  CHECK(running.run(1, 20'000) == 2);  // another folder is in its place
  fs::remove_all(place.root / "..1");
  CHECK(running.run(1, 1'000) == 2);
  version("..3");
  CHECK(running.run(1, 20'000) == 3);
}

}  // namespace sallyport
