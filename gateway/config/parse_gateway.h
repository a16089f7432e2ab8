// gateway.yaml: everything but the services.
#pragma once
#include <memory>
#include <string>

#include "config/listeners.h"
#include "config/model.h"
#include "config/node.h"
#include "config/reader.h"

namespace sallyport::config {

struct GatewayFile {
  Gateway gateway;
  Listeners listeners;
  std::unique_ptr<Yaml> yaml;          // what defaults points into; null when there is no file
  const YamlNode* defaults = nullptr;  // the `defaults` mapping; its faults are already reported
  bool faulty = false;
};

// source: null when there is no gateway.yaml, and every default applies.
GatewayFile parse_gateway(Reader& reader, const Source* source);

}  // namespace sallyport::config
