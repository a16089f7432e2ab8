// Header edits a user asked for. Remove first, then set, then add.
#pragma once
#include "config/model.h"
#include "http/message.h"

namespace sallyport {

void apply(const config::HeaderEdits& edits, http::HeaderList& fields);

}  // namespace sallyport
