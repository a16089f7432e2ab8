#include "cli/doctor/machine.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::system_clock;

constexpr uint64_t kMiB = 1024 * 1024;
constexpr uint64_t kReserve = 320;              // descriptors that are no clients
constexpr uint64_t kFewConnections = 1'000;     // a browser alone opens dozens
constexpr time_t kThisProgram = 1'764'000'000;  // the clock of a machine without a battery begins long before

std::string amount(uint64_t bytes) {
  return bytes >= 1024 * kMiB ? format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * kMiB))
                              : format("{} MiB", bytes / kMiB);
}

}  // namespace

Findings check_descriptors(uint64_t hard, uint32_t wanted, bool of_gateway) {
  const uint64_t room = hard > kReserve ? (hard - kReserve) / 2 : 0;
  const std::string text = hard == UINT64_MAX ? std::string("no limit of open files")
                                              : format("{} open files{}: about {} connections", hard,
                                                       of_gateway ? "" : " (as this user)", room);
  if (hard != UINT64_MAX && wanted > room)
    return {{Grade::problem, "descriptors", format("{}, and max_connections is {}", text, wanted),
             format("LimitNOFILE={} in the unit (podman: --ulimit nofile=…), or a lower max_connections",
                    uint64_t{wanted} * 2 + kReserve)}};
  if (hard != UINT64_MAX && wanted == 0 && room < kFewConnections)
    return {{Grade::warning, "descriptors", text,
             "LimitNOFILE=131072 in the unit, or --ulimit nofile=… for podman, makes room for more"}};
  return {{Grade::ok, "descriptors", text, ""}};
}

Findings check_clock(std::optional<bool> synchronised, Clock::time_point now) {
  if (Clock::to_time_t(now) < kThisProgram)
    return {{Grade::problem, "clock", "the clock is years behind: every certificate counts as not valid yet",
             "set it: `timedatectl set-ntp true`"}};
  if (!synchronised) return {{Grade::ok, "clock", "whether it is synchronised cannot be seen from here", ""}};
  if (!*synchronised)
    return {{Grade::warning, "clock", "the kernel says that the clock is not synchronised",
             "`timedatectl set-ntp true`, or chrony: certificates are judged by it (in a container: on its host)"}};
  return {{Grade::ok, "clock", "synchronised", ""}};
}

Findings check_state_folder(const std::string& path, const FolderState& state) {
  if (state.exists && !state.is_folder)
    return {{Grade::problem, "state", format("{} is no folder", path), "`state` in gateway.yaml names another"}};
  if (!state.writable) {
    const std::string text = state.exists ? format("{} cannot be written by this user", path)
                                          : format("{} does not exist and cannot be made by this user", path);
    return {
        {state.gateway_runs ? Grade::ok : Grade::warning, "state", text,
         state.gateway_runs ? "" : "who runs the gateway must own it: else sticky clients are forgotten at a restart"}};
  }
  if (state.free_bytes < 16 * kMiB)
    return {{Grade::problem, "state", format("{}: {} left on its disk", path, amount(state.free_bytes)), "make room"}};
  if (state.free_bytes < 256 * kMiB)
    return {{Grade::warning, "state", format("{}: {} left on its disk", path, amount(state.free_bytes)), "make room"}};
  return {{Grade::ok, "state", format("{} can be written, {} free", path, amount(state.free_bytes)), ""}};
}

Findings check_watches(uint64_t most_watches, uint64_t most_instances, uint64_t folders) {
  if (folders > most_watches || most_instances == 0)
    return {
        {Grade::problem, "watches",
         format("{} folders and files to watch, and {} may be watched", folders, most_watches),
         format(
             "sysctl fs.inotify.max_user_watches={}; without it changed files are taken up by `sallyport reload` alone",
             (folders + 8192) / 8192 * 8192)}};
  if (folders * 2 > most_watches || most_instances < 16)
    return {{Grade::warning, "watches",
             format("{} folders and files to watch, {} watches and {} instances for all programs of a user together",
                    folders, most_watches, most_instances),
             "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"}};
  return {{Grade::ok, "watches", format("{} folders and files to watch, {} may be", folders, most_watches), ""}};
}

Findings check_clients(bool container, bool proxied, const std::string& one_client) {
  const char* advice =
      "socket activation, --network=host or pasta keep addresses (\"Client addresses\" in docs/operations.md); behind "
      "a proxy accept_proxy or trusted_proxies";
  if (!one_client.empty() && !proxied)
    return {{Grade::warning, "clients", format("all clients have the one address {}", one_client), advice}};
  if (container && !proxied)
    return {{Grade::ok, "clients", "in a container: a published port of rootless podman gives all clients one address",
             advice}};
  return {{Grade::ok, "clients", "nothing seems to hide their addresses", ""}};
}

std::optional<bool> clock_synchronised() {
  timex state{};
  const int answer = adjtimex(&state);
  if (answer < 0) return std::nullopt;
  return answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

FolderState look_at_folder(const fs::path& path) {
  FolderState out;
  std::error_code ignored;
  out.exists = fs::exists(path, ignored);
  out.is_folder = fs::is_directory(path, ignored);
  fs::path there = path;
  while (!there.empty() && !fs::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  out.writable = access(there.c_str(), W_OK | X_OK) == 0;
  struct statvfs room {};
  if (statvfs(there.c_str(), &room) == 0) out.free_bytes = uint64_t{room.f_bavail} * room.f_frsize;
  return out;
}

uint64_t descriptor_limit(int pid) {
  rlimit limit{};
  if (prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  return limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : uint64_t{limit.rlim_max};
}

uint64_t number_in_file(const std::string& file, uint64_t otherwise) {
  std::ifstream in(file);
  std::string text;
  in >> text;
  return parse_number(text).value_or(otherwise);
}

uint64_t folders_below(const fs::path& path) {
  std::error_code problem;
  uint64_t count = fs::is_directory(path, problem) ? 1 : 0;
  if (count == 0) return 0;
  const auto options = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(path, options, problem), end; !problem && at != end; at.increment(problem)) {
    if (at.depth() > 16) at.disable_recursion_pending();
    std::error_code ignored;
    if (at->is_directory(ignored)) ++count;
    if (count > 1'000'000) break;
  }
  return count;
}

}  // namespace sallyport
