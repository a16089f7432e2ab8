// The commands explain, doctor and schema.
#pragma once
#include <filesystem>
#include <string>

#include "admin/explain.h"

namespace CLI {
class App;
}

namespace sallyport {

// code: the process's exit code, set when one of them has run.
void add_explain_commands(CLI::App& app, int& code);

struct ExplainOptions {
  std::filesystem::path directory = "/etc/sallyport";
  std::string socket;
  ExplainRequest request;
  bool offline = false;
  bool json = false;
};
// 0, or 1 if the target cannot be read.
int explain_command(const ExplainOptions& options);

}  // namespace sallyport
