#include "admin/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace sallyport {
namespace {

std::string read_all(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Since Linux 6.2 the folder's size is how many there are; before, they have to be listed.
uint64_t count_descriptors() {
  constexpr const char* kFolder = "/proc/self/fd";
  struct stat info {};
  if (stat(kFolder, &info) == 0 && info.st_size > 0) return static_cast<uint64_t>(info.st_size);
  DIR* folder = opendir(kFolder);
  if (folder == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(folder);
  return count - 1;  // the one that lists them
}

// Field 22 of stat is when it was started, in ticks since the system was: proc(5). The name in field 2 may hold anything.
double start_time() {
  const std::string stat_line = read_all("/proc/self/stat");
  const size_t name_end = stat_line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat_line.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  std::istringstream lines(read_all("/proc/stat"));
  double booted = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("btime ")) booted = std::stod(line.substr(6));
  if (field.empty() || booted == 0) return 0;
  return booted + std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double seconds(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessMetrics process_stats() {
  static const double started = start_time();
  ProcessMetrics out;
  out.started = started;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) out.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  std::istringstream statm(read_all("/proc/self/statm"));
  uint64_t size = 0;
  uint64_t resident = 0;
  if (statm >> size >> resident) out.resident_bytes = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  out.open_fds = count_descriptors();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = limit.rlim_cur;
  return out;
}

}  // namespace sallyport
