// What the demo prints: where things are, and commands to try.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "cli/demo/demo_folder.h"

namespace sallyport::demo {

// Each command stands on a line of its own, after "  $ "; the line below says what it shows, what can be found in its
// output in quotes.
std::string demo_text(const std::filesystem::path& folder, const DemoOptions& options, uint16_t admin_port,
                      const DemoCertificates& certificates);

}  // namespace sallyport::demo
