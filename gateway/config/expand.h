// ${NAME} and ${NAME:-default} in a value. "$${" is a plain "${"; a "$" before anything else stays as it is.
#pragma once
#include <string>
#include <string_view>

#include "config/surroundings.h"

namespace sallyport::config {

// What is put in is not expanded again. The error's detail is the message for the user.
Result<std::string> expand(std::string_view text, const Surroundings& surroundings);

}  // namespace sallyport::config
