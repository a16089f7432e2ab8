// JSON as the admin interface speaks it: fields in the order in which they were set.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sallyport {

using Json = nlohmann::ordered_json;

// On one line. What is no UTF-8, as clients may send it, becomes U+FFFD.
std::string text_of(const Json& json);
// Null (discarded) for what is no JSON; never throws.
Json parse_json(std::string_view text);

}  // namespace sallyport
