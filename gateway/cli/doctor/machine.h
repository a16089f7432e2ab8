// The machine: descriptors, clock, disk, watches, and who hides the clients. Each check judges facts that it is given.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/doctor/finding.h"

namespace sallyport {

// hard: RLIMIT_NOFILE of the gateway, UINT64_MAX for none. wanted: max_connections; 0 for auto.
Findings check_descriptors(uint64_t hard, uint32_t wanted, bool of_gateway);

// synchronised: what the kernel's clock says (adjtimex(2)); nullopt where it may not be asked.
Findings check_clock(std::optional<bool> synchronised, std::chrono::system_clock::time_point now);

struct FolderState {
  bool exists = false;
  bool is_folder = false;
  bool writable = false;  // by this user; of a folder that does not exist, its parent
  uint64_t free_bytes = 0;
  bool gateway_runs = false;  // perhaps as another user
};
Findings check_state_folder(const std::string& path, const FolderState& state);

// folders: that are to be watched.
Findings check_watches(uint64_t most_watches, uint64_t most_instances, uint64_t folders);

// one_client: all sessions come from this one private address; empty: they do not, or nobody knows.
Findings check_clients(bool container, bool proxied, const std::string& one_client);

// The facts of this machine.
std::optional<bool> clock_synchronised();
FolderState look_at_folder(const std::filesystem::path& path);
uint64_t descriptor_limit(int pid);  // hard; 0: of this process
uint64_t number_in_file(const std::string& file, uint64_t otherwise);
uint64_t folders_below(const std::filesystem::path& path);

}  // namespace sallyport
