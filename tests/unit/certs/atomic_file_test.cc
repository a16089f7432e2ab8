#include "certs/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

#include "catch.h"

namespace sallyport {
namespace {

struct Folder {
  Folder() { std::filesystem::create_directory(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("sallyport-atomic-" + std::to_string(getpid()));
};

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("atomic file: a new one, one replaced, one left as it is") {
  Folder folder;
  const auto file = folder.path / "a";
  CHECK(write_atomically(file, "one", 0600, Existing::refuse));
  CHECK(content_of(file) == "one");
  CHECK_FALSE(write_atomically(file, "two", 0600, Existing::refuse));
  CHECK(content_of(file) == "one");
  CHECK(write_atomically(file, "three", 0640, Existing::replace));
  CHECK(content_of(file) == "three");
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK_FALSE(write_atomically(folder.path / "none" / "a", "x", 0600, Existing::replace));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

// A process that does nothing but replace a file is killed at any moment, again and again: what stands there is always
// one of the texts it wrote, whole, and what is left of the others is hidden.
TEST_CASE("atomic file: a kill at any moment leaves the old file or the new one") {
  Folder folder;
  const auto file = folder.path / "cert.pem";
  const std::string texts[] = {std::string(100'000, 'a'), std::string(300'000, 'b')};
  REQUIRE(write_atomically(file, texts[0], 0600, Existing::replace));
  std::mt19937 chance(5);
  bool both[] = {false, false};
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    const pid_t child = fork();
    if (child == 0) {
      for (unsigned turn = 1;; ++turn)
        if (!write_atomically(file, texts[turn % 2], 0600, Existing::replace)) _exit(1);
    }
    usleep(chance() % 20'000);
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const std::string found = content_of(file);
    for (size_t i = 0; i < 2; ++i) both[i] |= found == texts[i];
    REQUIRE((found == texts[0] || found == texts[1]));
  }
  CHECK((both[0] && both[1]));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    if (entry.path() != file) CHECK(entry.path().filename().string()[0] == '.');
  CHECK(write_atomically(file, "after", 0600, Existing::replace));
  CHECK(content_of(file) == "after");
}

}  // namespace sallyport
