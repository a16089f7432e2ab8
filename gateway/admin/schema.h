// The JSON Schema (draft 7, which editors know best) of configuration files: what may stand where, with words for it.
// It is looser than the readers in config/ where a schema cannot say it; a test holds the keys of both together.
#pragma once
#include <nlohmann/json.hpp>

namespace sallyport {

// A file in conf.d: one service, or a list of them.
nlohmann::ordered_json service_schema();
nlohmann::ordered_json gateway_schema();

}  // namespace sallyport
