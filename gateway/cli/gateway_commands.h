// The commands that talk to a running gateway.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace sallyport {

// directory and code: of the program; they outlive app. certs: the command of that name, which tells of a running gateway
// where no sub-command of its own is given.
void add_gateway_commands(CLI::App& app, CLI::App& certs, std::string& directory, int& code);

}  // namespace sallyport
