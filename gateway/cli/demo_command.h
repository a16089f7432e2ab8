// `sallyport demo`: a gateway with sample servers behind it, to try things on.
#pragma once
#include <cstdint>

namespace sallyport {

// On 127.0.0.1. The admin listener and the sample servers take free ports.
struct DemoOptions {
  uint16_t http_port = 8080;
  uint16_t https_port = 8443;
  uint16_t ssh_port = 8022;
  uint16_t tcp_port = 8025;
};

// Runs until Ctrl-C, then removes all it made. The exit code: 1 if it could not start.
int demo_command(const DemoOptions& options);

}  // namespace sallyport
