// What a gateway answers, made readable: each takes the JSON of docs/admin-api.md and gives text.
#pragma once
#include <cstddef>
#include <string>

#include "admin/json.h"

namespace sallyport {

std::string status_view(const Json& status, bool coloured);
std::string services_view(const Json& answer, bool coloured, size_t width = 0);
std::string service_view(const Json& service, bool coloured);
std::string servers_view(const Json& servers, bool coloured);
std::string sessions_view(const Json& answer, bool coloured, size_t width = 0);
std::string certificates_view(const Json& answer, bool coloured);
std::string sticky_view(const Json& answer, bool coloured);
// Services that are busiest come first.
std::string top_view(const Json& status, const Json& services, bool coloured, size_t width, size_t rows);
// What a reload did, or (diff) would do, without its faults.
std::string reload_view(const Json& report, bool diff, bool coloured);
// As `sallyport check` prints them.
std::string faults_view(const Json& faults);

}  // namespace sallyport
