// Known-good values for known servers, as data: what `preset: NAME` in a service stands for. Below the service's own
// keys and above `defaults`.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "config/node.h"

namespace sallyport::config {

struct Preset {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view yaml;     // keys of a service as a user would write them, with a remark for each
};

// By name.
std::span<const Preset> presets() noexcept;
// Nullptr if there is none of that name.
const Preset* find_preset(std::string_view name) noexcept;
// What to tell someone who asked for a preset that there is not.
std::string unknown_preset(std::string_view name);

// The mapping in the YAML of one of presets(). Parsed at the first use, and there until the process ends.
const YamlNode& values_of(const Preset& preset);

}  // namespace sallyport::config
