// One service: its own keys over those of `defaults` over what is built in.
#pragma once
#include <string>

#include "config/listeners.h"
#include "config/model.h"
#include "config/node.h"
#include "config/reader.h"

namespace sallyport::config {

struct ParsedService {
  Service service;
  bool named = false;   // the name could be told
  bool faulty = false;  // at least one error was reported
};

// node: a mapping. defaults: the mapping of gateway.yaml, or null. default_name: empty when the file holds several
// services.
ParsedService parse_service(Reader& reader, Listeners& listeners, const std::string& certificates,
                            const YamlNode* defaults, const YamlNode& node, const std::string& default_name);

// Reports what is wrong with `defaults` itself. Returns its timeouts, which also count before a service is known.
Timeouts check_defaults(Reader& reader, Listeners& listeners, const std::string& certificates,
                        const YamlNode& defaults);

// A name without "/" stands in the certificates folder, another path is relative to the folder of gateway.yaml.
std::string certificate_path(const Reader& reader, const std::string& certificates, const std::string& written);

}  // namespace sallyport::config
