#include <algorithm>
#include <cstdio>

#include "base/format.h"
#include "cli/commands.h"
#include "config/presets.h"

namespace sallyport {
namespace {

void print(std::string_view text, FILE* to = stdout) { std::fwrite(text.data(), 1, text.size(), to); }

std::string list() {
  size_t width = 0;
  for (const config::Preset& preset : config::presets()) width = std::max(width, preset.name.size());
  std::string out;
  for (const config::Preset& preset : config::presets())
    out += format("{:<{}}  {}\n", preset.name, width, preset.summary);
  out += "\nIn a service's file:  preset: NAME      What it stands for:  sallyport preset NAME\n";
  return out;
}

}  // namespace

int preset_command(const std::string& name) {
  if (name.empty()) {
    print(list());
    return 0;
  }
  const config::Preset* preset = config::find_preset(name);
  if (preset == nullptr) {
    print(format("sallyport: {}\n", config::unknown_preset(name)), stderr);
    return 1;
  }
  print(preset->yaml);
  return 0;
}

}  // namespace sallyport
