// Finding what a request names, and saying what may have been meant where it is not there.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/control.h"

namespace sallyport {

// Null: there is none; no_service() tells.
const Service* find_service(const Snapshot& snapshot, std::string_view name) noexcept;
std::string no_service(const Snapshot& snapshot, std::string_view name);
// By what is shown of it, or its name.
Result<std::shared_ptr<Endpoint>> find_server(const Service& service, std::string_view name);
// Of a list that is told in parts: `limit` and `offset`.
struct Page {
  size_t offset = 0;
  size_t limit = 0;
};
Result<Page> page_of(std::string_view offset, std::string_view limit, size_t usual, size_t most);

}  // namespace sallyport
