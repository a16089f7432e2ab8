// `sallyport alerts test`: whether whom gateway.yaml names is reached. Needs no running gateway.
#pragma once
#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace sallyport {

// directory and code: command_line()'s, which outlive the parsing.
void add_alerts_commands(CLI::App& app, std::string& directory, int& code);

// Sends a test through each alert of gateway.yaml, or the one of that name, and prints what became of it. 0 if all were
// sent.
int alerts_test_command(const std::filesystem::path& directory, const std::string& name);

}  // namespace sallyport
