// `alerts` of gateway.yaml: who is told when something changes.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "config/node.h"
#include "config/reader.h"

namespace sallyport::config {

// certificates: the certificates folder, where a `ca` without "/" stands.
std::vector<Alert> read_alerts(Reader& reader, const std::string& certificates, const YamlNode& node);

// "admin@example.tld": what may stand in a mail's header and in SMTP's commands as it is. No quoted local parts, no
// names beside it, ASCII only.
Result<std::string> parse_mail_address(std::string_view text);

}  // namespace sallyport::config
