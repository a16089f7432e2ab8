// The sub-commands. Each returns the process's exit code.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace sallyport {

int run_command(const std::filesystem::path& directory);
// Builds everything, publishes nothing: 0 if there is no error, 1 otherwise.
int check_command(const std::filesystem::path& directory);
// Asks a running gateway: 0 while it serves, 1 otherwise. socket: empty, to find it through the configuration.
int health_command(const std::filesystem::path& directory, const std::string& socket);
// Prints what a preset stands for, or which there are if the name is empty. 1 if there is none of that name.
int preset_command(const std::string& name);

}  // namespace sallyport
