#include "config/surroundings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "catch.h"
#include "config/load.h"

namespace sallyport::config {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "sallyport-config-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  void file(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
  }
  fs::path path;
};

TEST_CASE("list: below links and folders, without leftovers, and never in a circle") {
  const Folder folder;
  for (const char* name :
       {"a.yaml", "sub/b.yaml", ".a.yaml.swp", "a.yaml~", ".#a.yaml", "#a.yaml#", ".git/x.yaml", "..data/c.yaml"})
    folder.file(name, "x");
  fs::create_symlink("..data/c.yaml", folder.path / "c.yaml");
  fs::create_directory_symlink("..", folder.path / "sub/up");
  fs::create_symlink("nowhere", folder.path / "dangling.yaml");
  auto files = Surroundings().list(folder.path);
  REQUIRE(files.ok());
  std::sort(files->begin(), files->end());
  CHECK(*files == std::vector<std::string>{"a.yaml", "c.yaml", "dangling.yaml", "sub/b.yaml"});
  CHECK(Surroundings().list(folder.path / "none").error().sys == ENOENT);
  CHECK(Surroundings().list(folder.path / "a.yaml").error().sys == ENOTDIR);
}

TEST_CASE("read: regular files within their bound, and never waiting") {
  const Folder folder;
  folder.file("a", "text");
  const Surroundings real;
  auto text = real.read(folder.path / "a", 4);
  REQUIRE(text.ok());
  CHECK(*text == "text");
  CHECK(real.read(folder.path / "a", 3).error().sys == EFBIG);
  CHECK(real.read(folder.path / "b", 3).error().sys == ENOENT);
  CHECK(real.read(folder.path, 3).error().sys == EISDIR);
  REQUIRE(::mkfifo((folder.path / "fifo").c_str(), 0600) == 0);
  CHECK(real.read(folder.path / "fifo", 3).error().sys == EINVAL);
  CHECK(real.read("/dev/zero", 3).error().sys == EINVAL);
}

TEST_CASE("load: from a real folder") {
  const Folder folder;
  folder.file("gateway.yaml", "admin: { token: !file secrets/token }\n");
  folder.file("secrets/token", "t0ken\n");
  folder.file("conf.d/sub/web.yaml", "mode: http\nservers: [127.0.0.1:80]\n");
  folder.file("conf.d/.web.yaml.swp", "\x01\x02");
  fs::create_symlink("nowhere", folder.path / "conf.d/gone.yaml");
  const Config config = load(folder.path / "");
  CHECK(config.directory == folder.path);
  CHECK(config.gateway.admin.token == "t0ken");
  REQUIRE(config.services.size() == 1);
  CHECK(config.services[0].name == "sub-web");
  REQUIRE(config.faults.size() == 1);
  CHECK(config.faults[0].at.file == "conf.d/gone.yaml");
  CHECK(config.faults[0].message.find("No such file") != std::string::npos);
  CHECK(config.left_out == std::vector<std::string>{"gone"});

  const Config none = load(folder.path / "typo");
  CHECK(none.gateway_faulty);
  CHECK(none.faults.at(0).message == "there is no folder " + (folder.path / "typo").string());
}

}  // namespace
}  // namespace sallyport::config
